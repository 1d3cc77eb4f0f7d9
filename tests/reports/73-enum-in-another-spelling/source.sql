CREATE TABLE job (id INTEGER PRIMARY KEY, state TEXT); INSERT INTO job VALUES (1,'InProgress'),(2,'done'),(3,'DONE'),(4,'');
