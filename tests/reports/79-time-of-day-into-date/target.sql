CREATE TABLE fee (id serial PRIMARY KEY, due date);
