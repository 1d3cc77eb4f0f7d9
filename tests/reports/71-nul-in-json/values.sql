SELECT id, data FROM log ORDER BY id
