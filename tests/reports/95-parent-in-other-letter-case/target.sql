CREATE TABLE p(code text PRIMARY KEY); CREATE TABLE c(id serial PRIMARY KEY, code text REFERENCES p(code));
