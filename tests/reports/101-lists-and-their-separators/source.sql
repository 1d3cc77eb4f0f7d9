CREATE TABLE post (id INTEGER PRIMARY KEY, tags TEXT, paths TEXT, marks TEXT); INSERT INTO post VALUES (1,'a, b','/x;/y','1|2'),(2,'c','/z','3'),(3,'','',NULL);
