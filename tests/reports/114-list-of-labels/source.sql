CREATE TABLE job (id INTEGER PRIMARY KEY, tags TEXT); INSERT INTO job VALUES (1,'["red","green"]'),(2,'[]'),(3,'{green}'),(4,NULL);
