CREATE TABLE session (id serial PRIMARY KEY); CREATE TABLE visit (id serial PRIMARY KEY, session_id integer REFERENCES session(id), p text);
