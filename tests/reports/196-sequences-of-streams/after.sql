SELECT nextval('events_stream_seq');
