CREATE TABLE our_migrations (id INTEGER PRIMARY KEY, file TEXT NOT NULL, done INTEGER); INSERT INTO our_migrations VALUES (1,'001_lite.sql',1);
CREATE TABLE role (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO role VALUES (1,'admin');
