SELECT id, note FROM hit ORDER BY id
