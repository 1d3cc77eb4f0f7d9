CREATE TABLE person (name text PRIMARY KEY); CREATE TABLE letter (id serial PRIMARY KEY, author text REFERENCES person(name));
