CREATE SEQUENCE events_stream_seq; CREATE SEQUENCE other_seq; CREATE TABLE events (event_id text PRIMARY KEY, stream_ordering bigint);
