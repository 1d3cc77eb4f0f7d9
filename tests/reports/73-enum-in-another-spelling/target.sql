CREATE TYPE state AS ENUM ('in_progress', 'done'); CREATE TABLE job (id serial PRIMARY KEY, state state);
