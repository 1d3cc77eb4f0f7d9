SELECT at, text_at FROM post ORDER BY id
