CREATE TABLE p (k TEXT PRIMARY KEY, n INTEGER); INSERT INTO p VALUES ('ab',1),('a'||char(0)||'b',2),('z',3);
CREATE TABLE c (id INTEGER PRIMARY KEY, p TEXT NOT NULL REFERENCES p(k)); INSERT INTO c VALUES (1,'ab'),(2,'a'||char(0)||'b'),(3,'z');
