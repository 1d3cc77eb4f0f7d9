CREATE TABLE articles(id INTEGER PRIMARY KEY, meta text); INSERT INTO articles VALUES(1,'{"a": 1}'),(2,'draft'),(3,'{"a": 1,}'),(4,'in review');
