CREATE SCHEMA cutover; CREATE TABLE cutover.quarantine (x int); CREATE TABLE t (id serial PRIMARY KEY, v text);
