CREATE TABLE song_list (id bigint PRIMARY KEY, name text);
