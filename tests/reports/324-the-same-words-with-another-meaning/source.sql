CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT COLLATE NOCASE, n INTEGER, s STRING, r REAL, c TEXT CHECK (c LIKE 'x%'), d TEXT COLLATE NOCASE CHECK (d IN ('on', 'off')), e INTEGER CHECK (e > 0), f TEXT CHECK (f LIKE '1_'));
CREATE UNIQUE INDEX t_like ON t(a) WHERE a LIKE 'x%';
CREATE UNIQUE INDEX t_case ON t(n) WHERE b = 'open';
CREATE UNIQUE INDEX t_type ON t(n, id) WHERE s = '1';
CREATE UNIQUE INDEX t_order ON t(id, a) WHERE a > 'M';
CREATE INDEX t_half ON t(n) WHERE r / 2 > 1;
INSERT INTO t VALUES (1,'xa','open',1,'one',1.5,'x1','on',1,'1a');
