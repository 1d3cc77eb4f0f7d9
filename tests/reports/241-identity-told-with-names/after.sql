INSERT INTO song_list (name) VALUES ('b')
