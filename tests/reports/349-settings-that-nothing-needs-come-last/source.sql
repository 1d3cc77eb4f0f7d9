CREATE TABLE t(id INTEGER PRIMARY KEY, a decimal, b decimal, c decimal); INSERT INTO t VALUES(1,1,2.5,1),(2,2,3.5,NULL);
