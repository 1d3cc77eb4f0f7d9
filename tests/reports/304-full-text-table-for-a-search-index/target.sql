CREATE TABLE event_search (event_id text, vector tsvector); CREATE TABLE t (id serial PRIMARY KEY);
