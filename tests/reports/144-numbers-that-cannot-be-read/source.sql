CREATE TABLE link (code TEXT PRIMARY KEY, url TEXT); INSERT INTO link VALUES ('1','a'),('a','b'),('1f','c');
