CREATE TABLE shift (id serial PRIMARY KEY, starts time NOT NULL, ends time);
