SELECT id, v FROM doc ORDER BY id
