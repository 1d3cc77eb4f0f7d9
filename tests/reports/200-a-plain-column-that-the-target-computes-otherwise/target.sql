CREATE TABLE article (id serial PRIMARY KEY, title text NOT NULL, slug text GENERATED ALWAYS AS (replace(lower(title), ' ', '-')) STORED);
