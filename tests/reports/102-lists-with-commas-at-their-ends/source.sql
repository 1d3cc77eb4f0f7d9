CREATE TABLE post (id INTEGER PRIMARY KEY, marks TEXT); INSERT INTO post VALUES (1,',1,2,'),(2,',3,'),(3,'');
