CREATE TABLE p (id serial PRIMARY KEY); CREATE TABLE c (id serial PRIMARY KEY, pid integer CONSTRAINT c_p REFERENCES p(id), mail text CONSTRAINT c_mail UNIQUE);
