CREATE TABLE flag (id serial PRIMARY KEY, v boolean);
