CREATE TABLE item (id uuid PRIMARY KEY, name text);
