CREATE TABLE t (id serial PRIMARY KEY, at timestamptz);
