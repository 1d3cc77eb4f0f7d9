CREATE TABLE t(id serial PRIMARY KEY, a numeric, b numeric, c numeric);
