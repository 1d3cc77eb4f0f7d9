SELECT id, born::text FROM person ORDER BY id
