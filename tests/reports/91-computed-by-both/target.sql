CREATE TABLE t (id serial PRIMARY KEY, v text, l text GENERATED ALWAYS AS (lower(v COLLATE "C.utf8")) STORED);
