CREATE TABLE series (id serial PRIMARY KEY, genres text[], years integer[]);
