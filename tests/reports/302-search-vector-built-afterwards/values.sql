SELECT id FROM entry WHERE title @@ to_tsquery('english', 'run')
