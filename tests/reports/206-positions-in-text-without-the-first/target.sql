CREATE TYPE mood AS ENUM ('sad','ok','happy'); CREATE TABLE a (id serial PRIMARY KEY, m mood);
