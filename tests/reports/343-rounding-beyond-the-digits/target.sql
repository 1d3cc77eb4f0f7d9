CREATE TABLE a(id serial PRIMARY KEY, d numeric(10,2), CHECK (d < 1000));
