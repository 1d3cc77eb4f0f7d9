CREATE TABLE events (event_id TEXT PRIMARY KEY, stream_ordering INTEGER); INSERT INTO events VALUES ('$a', 41), ('$b', 77);
