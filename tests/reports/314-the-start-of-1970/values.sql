SELECT id, at, seen, ended, due FROM t WHERE id < 3 ORDER BY 1
