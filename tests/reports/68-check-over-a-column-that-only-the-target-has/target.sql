CREATE TABLE stock (id serial PRIMARY KEY, n integer, most integer NOT NULL DEFAULT 10, CONSTRAINT fits CHECK (n <= most));
