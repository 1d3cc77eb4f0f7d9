CREATE TABLE note (id integer PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());
