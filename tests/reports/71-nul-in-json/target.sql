CREATE TABLE log (id serial PRIMARY KEY, data jsonb NOT NULL);
