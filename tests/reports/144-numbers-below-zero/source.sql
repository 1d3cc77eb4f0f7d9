CREATE TABLE draft (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO draft VALUES (-1,'a'),(-2,'b'),(-3,'c');
