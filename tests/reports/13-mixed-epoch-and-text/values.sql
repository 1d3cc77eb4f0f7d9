SET TIME ZONE 'UTC'; SET extra_float_digits = 1; SELECT id, "createdAt"::text, "updatedAt"::text FROM "Post" ORDER BY id
