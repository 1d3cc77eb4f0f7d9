SELECT id, v FROM flag ORDER BY id
