CREATE TABLE cat(id serial PRIMARY KEY, n text, slug text NOT NULL DEFAULT '' UNIQUE); CREATE TABLE prod(id serial PRIMARY KEY, cat int NOT NULL REFERENCES cat);
