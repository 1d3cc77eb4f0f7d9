SELECT id, n, share FROM ratio ORDER BY 1
