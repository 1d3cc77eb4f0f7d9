SET TIME ZONE 'UTC'; SET extra_float_digits = 1; SELECT id, started::text, ended::text FROM job ORDER BY id
