SELECT name FROM migrations ORDER BY id; SELECT id FROM a
