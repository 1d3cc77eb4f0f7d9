CREATE TABLE doc (id INTEGER PRIMARY KEY, v BLOB, w BLOB);
INSERT INTO doc VALUES (1, jsonb('{"a":[true,null,1.5,"x\"y"]}'), jsonb('{"b":1,"a":"é"}')), (2, jsonb('[]'), jsonb('"x"'));
