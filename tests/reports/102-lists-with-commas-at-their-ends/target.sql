CREATE TABLE post (id serial PRIMARY KEY, marks int[]);
