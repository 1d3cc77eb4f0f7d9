CREATE TABLE post (id serial PRIMARY KEY, tags text[], paths text[], marks int[]);
