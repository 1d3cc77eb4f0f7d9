SET TIME ZONE 'UTC'; SET extra_float_digits = 1; SELECT id, ts::text FROM reading ORDER BY id
