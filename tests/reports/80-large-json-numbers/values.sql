SELECT id, v->>'y' FROM doc ORDER BY id
