SET TIME ZONE 'UTC'; SET extra_float_digits = 1; SELECT "Id", "Started"::text, "Due"::text FROM "Jobs" ORDER BY 1
