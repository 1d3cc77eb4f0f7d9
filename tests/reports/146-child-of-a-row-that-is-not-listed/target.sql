CREATE TABLE p (id serial PRIMARY KEY, n int CHECK (n > 0), k text); CREATE TABLE c (id serial PRIMARY KEY, p int NOT NULL REFERENCES p);
