CREATE TABLE t (id serial PRIMARY KEY, made timestamptz, changed timestamptz, odd timestamptz);
