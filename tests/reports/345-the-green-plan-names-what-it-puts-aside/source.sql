CREATE TABLE a(id INTEGER PRIMARY KEY AUTOINCREMENT, d bigint, n text); INSERT INTO a(d, n) VALUES(1e19,'1'),(2,'two'),(3,'3');
