CREATE TABLE event (id serial PRIMARY KEY, at timestamptz);
