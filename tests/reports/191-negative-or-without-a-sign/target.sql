CREATE TABLE move (id serial PRIMARY KEY, amount numeric(20,0));
