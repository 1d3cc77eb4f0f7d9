CREATE TABLE series (id INTEGER PRIMARY KEY, genres TEXT, years TEXT);
INSERT INTO series VALUES (1,'drama,crime','1999,2004'),(2,'','2010,2011'),(3,'anime','');
