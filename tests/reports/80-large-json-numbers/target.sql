CREATE TABLE doc (id serial PRIMARY KEY, v jsonb);
