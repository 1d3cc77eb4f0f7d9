SELECT id, device FROM cipher ORDER BY id
