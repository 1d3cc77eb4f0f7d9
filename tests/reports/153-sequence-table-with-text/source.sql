CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT); INSERT INTO t VALUES (1,'a'),(2,'b'); UPDATE sqlite_sequence SET seq = 'many' WHERE name = 't';
