SELECT id FROM author; SELECT id, author_id FROM book ORDER BY 1
