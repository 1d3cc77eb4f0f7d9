CREATE TABLE a(id serial PRIMARY KEY, d bigint, n int);
