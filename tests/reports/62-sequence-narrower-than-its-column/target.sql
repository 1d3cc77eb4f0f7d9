CREATE TABLE hit (id serial PRIMARY KEY, t text); ALTER TABLE hit ALTER COLUMN id TYPE bigint;
