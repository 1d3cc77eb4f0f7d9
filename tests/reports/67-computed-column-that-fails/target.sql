CREATE TABLE ratio (id serial PRIMARY KEY, n integer, share integer GENERATED ALWAYS AS (100 / n) STORED);
