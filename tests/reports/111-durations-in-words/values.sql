SELECT id, extract(epoch FROM length) FROM track ORDER BY id
