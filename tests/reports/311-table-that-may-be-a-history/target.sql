CREATE TABLE our_migrations (id serial PRIMARY KEY, file text NOT NULL, done integer); INSERT INTO our_migrations (file, done) VALUES ('001_pg.sql',1);
CREATE TABLE role (id serial PRIMARY KEY, name text); INSERT INTO role (name) VALUES ('admin');
