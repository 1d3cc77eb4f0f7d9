CREATE TABLE u(id serial PRIMARY KEY, email text, age int NOT NULL); CREATE UNIQUE INDEX u_e ON u(lower(email));
