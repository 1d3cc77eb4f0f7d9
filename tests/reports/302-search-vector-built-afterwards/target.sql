CREATE TABLE entry (id serial PRIMARY KEY, headline text, title tsvector NOT NULL DEFAULT '');
