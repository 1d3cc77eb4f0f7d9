CREATE TABLE file (id serial PRIMARY KEY, digest bytea);
