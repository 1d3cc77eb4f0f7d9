CREATE TABLE due (id serial PRIMARY KEY, day date);
