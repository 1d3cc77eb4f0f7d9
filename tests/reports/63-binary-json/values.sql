SELECT id, v, w FROM doc ORDER BY id
