CREATE SEQUENCE ticket_numbers;
CREATE TABLE note (id bigint NOT NULL PRIMARY KEY, name text);
