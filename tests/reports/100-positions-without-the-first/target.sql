CREATE TYPE state AS ENUM ('open','closed','gone'); CREATE TABLE job (id serial PRIMARY KEY, state state);
