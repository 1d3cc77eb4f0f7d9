CREATE TABLE author (id serial PRIMARY KEY, age integer); CREATE TABLE book (id serial PRIMARY KEY, author_id integer);
