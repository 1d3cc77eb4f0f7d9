SELECT id, value::text, value IS NULL FROM setting ORDER BY id
