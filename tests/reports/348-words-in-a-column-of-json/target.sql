CREATE TABLE articles(id serial PRIMARY KEY, meta jsonb);
