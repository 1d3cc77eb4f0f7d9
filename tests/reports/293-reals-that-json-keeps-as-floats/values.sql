SELECT id, j, b FROM m ORDER BY id
