CREATE TABLE categories (id serial PRIMARY KEY, title text);
