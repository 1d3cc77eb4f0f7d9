CREATE TABLE entry (id INTEGER PRIMARY KEY, headline TEXT, title TEXT NOT NULL); INSERT INTO entry VALUES (1, 'Running: it''s', 'Running: it''s');
