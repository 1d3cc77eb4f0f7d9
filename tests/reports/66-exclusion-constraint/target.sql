CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE TABLE booking (id serial PRIMARY KEY, room integer, since timestamp, till timestamp, CONSTRAINT no_overlap EXCLUDE USING gist (room WITH =, tsrange(since, till) WITH &&));
