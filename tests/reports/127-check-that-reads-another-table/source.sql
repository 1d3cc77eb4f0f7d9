CREATE TABLE country(code TEXT PRIMARY KEY); INSERT INTO country VALUES('de'),('at'); CREATE TABLE addr(id INTEGER PRIMARY KEY, code TEXT); INSERT INTO addr VALUES(1,'de'),(2,'at'),(3,'de');
