CREATE TABLE t (id serial PRIMARY KEY, a text, CONSTRAINT t_same EXCLUDE USING btree (a WITH =), CONSTRAINT t_like EXCLUDE USING btree (lower(a) WITH =));
