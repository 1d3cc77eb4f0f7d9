CREATE TABLE a (id serial PRIMARY KEY, at timestamptz);
CREATE TABLE b (id serial PRIMARY KEY, at timestamptz);
CREATE TABLE c (id serial PRIMARY KEY, at timestamptz);
CREATE TABLE d (id serial PRIMARY KEY, at timestamptz);
