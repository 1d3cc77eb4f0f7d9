CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE login (name text COLLATE any_case PRIMARY KEY, n int);
CREATE TABLE post (id serial PRIMARY KEY, author text COLLATE any_case NOT NULL REFERENCES login(name));
