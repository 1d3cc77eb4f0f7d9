SELECT id, extract(epoch FROM took) FROM task ORDER BY id
