CREATE TABLE seen (id serial PRIMARY KEY, at timestamptz);
