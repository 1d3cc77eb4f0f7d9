CREATE TABLE author(id serial PRIMARY KEY, n text); CREATE TABLE posts_content(id serial PRIMARY KEY, body text, author int REFERENCES author);
