CREATE TABLE t (id serial PRIMARY KEY, v text, g text GENERATED ALWAYS AS (upper(v)) STORED);
