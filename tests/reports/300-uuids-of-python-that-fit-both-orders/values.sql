SELECT id, uuid FROM dbs ORDER BY id
