CREATE TABLE files (id serial PRIMARY KEY, filesize bigint, width integer, kind text);
