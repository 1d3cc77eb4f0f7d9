SELECT id, coalesce(author, '-') FROM letter ORDER BY id
