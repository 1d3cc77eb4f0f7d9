CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT, updated_at TEXT); INSERT INTO account VALUES (1, 'a', '2024-02-29 12:34:56');
