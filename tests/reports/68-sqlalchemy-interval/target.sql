CREATE TABLE task (id serial PRIMARY KEY, took interval);
