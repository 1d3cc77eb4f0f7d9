SELECT c.id, p.name FROM c JOIN p ON p.k = c.p ORDER BY c.id
