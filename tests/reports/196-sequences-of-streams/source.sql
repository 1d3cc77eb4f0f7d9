CREATE TABLE events (stream_ordering INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE);
CREATE TABLE events_extra (event_id TEXT NOT NULL);
CREATE TABLE receipts_linearized (stream_id BIGINT NOT NULL, room TEXT NOT NULL, UNIQUE (room));
CREATE TABLE account_data (user TEXT PRIMARY KEY, stream_id BIGINT NOT NULL);
CREATE TABLE room_account_data (room TEXT PRIMARY KEY, stream_id BIGINT NOT NULL);
INSERT INTO events VALUES (7,'a');
INSERT INTO receipts_linearized VALUES (9,'r');
INSERT INTO account_data VALUES ('u',3);
INSERT INTO room_account_data VALUES ('r',5);
