CREATE TABLE w (n TEXT COLLATE NOCASE PRIMARY KEY, v INTEGER) WITHOUT ROWID; INSERT INTO w VALUES ('q',1),('Z',2),('a',3);
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'NOCASE', 'UNICODE_CI') WHERE name = 'w';
PRAGMA writable_schema = OFF;
