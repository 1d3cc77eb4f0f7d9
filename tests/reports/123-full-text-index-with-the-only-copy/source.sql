CREATE VIRTUAL TABLE notes USING fts5(title, body); INSERT INTO notes VALUES('a','hello'),('b','world'); CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES(1);
