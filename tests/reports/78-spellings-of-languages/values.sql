SET TIME ZONE 'UTC'; SET extra_float_digits = 1; SELECT id, at::text FROM event ORDER BY id
