CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1,'a'),(2,'b');
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT CHECK (v REGEXP ''^.''), g TEXT AS (fold(v)))' WHERE name = 't';
PRAGMA writable_schema = OFF;
