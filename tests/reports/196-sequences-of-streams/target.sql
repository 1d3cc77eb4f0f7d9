CREATE SEQUENCE events_stream_seq;
CREATE SEQUENCE receipts_sequence;
CREATE SEQUENCE account_data_sequence;
CREATE TABLE events (stream_ordering bigint PRIMARY KEY, event_id text NOT NULL UNIQUE);
CREATE TABLE events_extra (event_id text NOT NULL);
CREATE TABLE receipts_linearized (stream_id bigint NOT NULL, room text NOT NULL UNIQUE);
CREATE TABLE account_data ("user" text PRIMARY KEY, stream_id bigint NOT NULL);
CREATE TABLE room_account_data (room text PRIMARY KEY, stream_id bigint NOT NULL);
