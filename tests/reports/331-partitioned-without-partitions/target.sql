CREATE TABLE e (id int, at int) PARTITION BY RANGE (at); CREATE TABLE f (id serial PRIMARY KEY);
