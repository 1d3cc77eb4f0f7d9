CREATE TABLE role (id serial PRIMARY KEY, name text, at timestamp); INSERT INTO role (name, at) VALUES ('admin','2024-02-29 12:34:56'),('visitor',NULL);
CREATE TABLE kind (id serial PRIMARY KEY, name text); INSERT INTO kind (name) VALUES ('a'),(NULL);
