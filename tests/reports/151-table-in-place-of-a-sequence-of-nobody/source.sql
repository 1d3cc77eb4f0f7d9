CREATE TABLE note (id bigint NOT NULL PRIMARY KEY, name TEXT);
INSERT INTO note VALUES (1,'Ann');
CREATE TABLE ticket_numbers (next_val bigint);
INSERT INTO ticket_numbers VALUES (70);
