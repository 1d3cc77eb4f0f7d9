CREATE TABLE m (id serial PRIMARY KEY, j json, b jsonb);
