CREATE TABLE setting (id serial PRIMARY KEY, value json);
