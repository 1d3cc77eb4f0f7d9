CREATE TABLE key (id serial PRIMARY KEY, expires timestamptz NOT NULL);
