CREATE TABLE node (k text PRIMARY KEY, up text NOT NULL REFERENCES node(k));
