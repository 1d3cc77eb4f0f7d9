SELECT id, p, u FROM c
