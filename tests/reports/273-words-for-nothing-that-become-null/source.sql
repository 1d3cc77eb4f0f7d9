CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME, day DATE, n INTEGER, price NUMERIC);
INSERT INTO t VALUES (1,'2020-01-01 00:00:00','2020-01-01',1,1.5), (2,'-','0000-00-00','N/A','-'), (3,'0000-00-00T00:00:00','N/A','NULL','n/a'),
  (4,'0','null','-','None');
