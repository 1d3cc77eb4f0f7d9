CREATE TABLE doc (id INTEGER PRIMARY KEY, v BLOB);
INSERT INTO doc VALUES (1, jsonb('{"a":1}')), (2, jsonb('123')), (3, jsonb('[1,2,3]'));
