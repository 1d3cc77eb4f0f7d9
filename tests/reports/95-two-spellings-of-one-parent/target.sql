CREATE TABLE p(id serial PRIMARY KEY, u uuid UNIQUE); CREATE TABLE c(id serial PRIMARY KEY, p int REFERENCES p, u uuid REFERENCES p(u));
