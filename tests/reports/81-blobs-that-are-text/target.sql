CREATE TABLE setting (id serial PRIMARY KEY, name varchar(20), value bytea);
