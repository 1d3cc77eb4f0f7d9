CREATE TYPE colour AS ENUM ('red','green'); CREATE DOMAIN short AS varchar(5); CREATE TABLE job (id serial PRIMARY KEY, tags colour[]);
