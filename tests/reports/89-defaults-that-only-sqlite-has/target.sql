CREATE TABLE t (id serial PRIMARY KEY, state text NOT NULL);
