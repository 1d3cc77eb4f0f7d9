SELECT id, mail FROM person ORDER BY id
