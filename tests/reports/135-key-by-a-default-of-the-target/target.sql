CREATE TABLE org(id serial PRIMARY KEY); CREATE TABLE u(id serial PRIMARY KEY, n text, org_id int NOT NULL DEFAULT 5 REFERENCES org);
