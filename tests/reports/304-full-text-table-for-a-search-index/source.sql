CREATE VIRTUAL TABLE event_search USING fts4(event_id, value); INSERT INTO event_search VALUES ('a', 'hello'); CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1);
