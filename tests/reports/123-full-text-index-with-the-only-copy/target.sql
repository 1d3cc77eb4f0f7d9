CREATE TABLE notes(id serial PRIMARY KEY, title text, body text); CREATE TABLE t(id serial PRIMARY KEY);
