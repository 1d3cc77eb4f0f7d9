SELECT id, author FROM post ORDER BY id
