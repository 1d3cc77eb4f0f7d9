SELECT c.id, p.n FROM c JOIN p ON p.k = c.p ORDER BY c.id
