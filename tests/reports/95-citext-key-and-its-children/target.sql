CREATE EXTENSION IF NOT EXISTS citext; CREATE TABLE login(name citext PRIMARY KEY, n int); CREATE TABLE post(id serial PRIMARY KEY, author citext NOT NULL REFERENCES login(name));
