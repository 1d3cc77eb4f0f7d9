CREATE TABLE entry (id serial PRIMARY KEY, title tsvector NOT NULL, body tsvector);
