CREATE TABLE doc (id bigint PRIMARY KEY, v jsonb);
