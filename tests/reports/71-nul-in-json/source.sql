CREATE TABLE log (id INTEGER PRIMARY KEY, data TEXT);
INSERT INTO log VALUES (1,'{"a":"x\u0000y"}'),(2,'{"a":"\\u0000"}'),(3,'{}');
