CREATE TABLE a(id serial PRIMARY KEY, d int);
