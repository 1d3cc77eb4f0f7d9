CREATE TABLE track (id serial PRIMARY KEY, length interval);
