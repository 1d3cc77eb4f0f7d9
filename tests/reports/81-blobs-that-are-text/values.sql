SELECT id, name, value FROM setting ORDER BY id
