SELECT id, length(body::text), list FROM doc ORDER BY id
