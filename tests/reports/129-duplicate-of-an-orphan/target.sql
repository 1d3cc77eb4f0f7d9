CREATE TABLE p(id serial PRIMARY KEY); CREATE TABLE u(id serial PRIMARY KEY, email text, p int NOT NULL REFERENCES p); CREATE UNIQUE INDEX u_e ON u(lower(email));
