CREATE TABLE node (k TEXT NOT NULL PRIMARY KEY, up TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO node VALUES ('root','root'),('a','root'),('lost','gone'),('leaf','lost'),('leaflet','leaf');
