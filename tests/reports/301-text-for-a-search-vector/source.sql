CREATE TABLE entry (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT); INSERT INTO entry VALUES (1, 'Running: it''s', 'x');
