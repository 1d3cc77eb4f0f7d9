CREATE TABLE person (id INTEGER PRIMARY KEY, mail TEXT); INSERT INTO person VALUES (1,'Ann@x'),(2,'ann@x'),(3,'ben@x'),(4,NULL);
