CREATE TABLE u (id serial PRIMARY KEY); CREATE TABLE task (id serial PRIMARY KEY, owner integer NOT NULL REFERENCES u(id), helper integer REFERENCES u(id));
