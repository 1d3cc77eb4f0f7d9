CREATE SEQUENCE items_id_seq; CREATE TABLE items (id bigint PRIMARY KEY, name text);
