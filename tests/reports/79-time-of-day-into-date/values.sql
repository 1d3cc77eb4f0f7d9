SELECT id, due FROM fee ORDER BY id
