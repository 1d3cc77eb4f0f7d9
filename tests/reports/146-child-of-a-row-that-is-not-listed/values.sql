SELECT id, p FROM c ORDER BY id; SELECT count(*) FROM p
