CREATE TABLE t (id serial PRIMARY KEY, until timestamp(3), s timestamptz);
