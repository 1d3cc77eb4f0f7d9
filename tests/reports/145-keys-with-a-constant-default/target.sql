CREATE TABLE t (id bigint NOT NULL DEFAULT 0 PRIMARY KEY, v text); CREATE TABLE setting (id int PRIMARY KEY DEFAULT 1 CHECK (id = 1), v text);
