CREATE TABLE t(id serial PRIMARY KEY, v text UNIQUE); CREATE TABLE c(id serial PRIMARY KEY, t int REFERENCES t(id));
