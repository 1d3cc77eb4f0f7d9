select nextval('events_stream_seq') > 77
