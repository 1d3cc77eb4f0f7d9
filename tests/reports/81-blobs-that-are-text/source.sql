CREATE TABLE setting (id INTEGER PRIMARY KEY, name BLOB, value BLOB); INSERT INTO setting VALUES (1,CAST('títle' AS BLOB),x'00ff'),(2,CAST('x' AS BLOB),x'41');
