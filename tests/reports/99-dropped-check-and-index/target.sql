CREATE TABLE t (id serial PRIMARY KEY, n int CONSTRAINT t_n CHECK (n > 0), k text); CREATE INDEX t_k ON t (k);
