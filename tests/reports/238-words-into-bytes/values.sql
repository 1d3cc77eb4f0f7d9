SELECT id, convert_from(v, 'UTF8') FROM m ORDER BY id
