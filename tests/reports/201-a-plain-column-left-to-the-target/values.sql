SELECT id, slug FROM article ORDER BY id
