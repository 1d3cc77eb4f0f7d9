SELECT id FROM snapshot; SELECT id, name FROM half ORDER BY id; SELECT count(DISTINCT id) FROM pool; SELECT id, name FROM taken ORDER BY id
