CREATE TABLE login (name TEXT PRIMARY KEY, n INTEGER); INSERT INTO login VALUES ('Ann',1),('ann',2),('Ben',3);
CREATE TABLE post (id INTEGER PRIMARY KEY, author TEXT NOT NULL REFERENCES login(name)); INSERT INTO post VALUES (1,'Ann'),(2,'ann'),(3,'Ben'),(4,'ben');
