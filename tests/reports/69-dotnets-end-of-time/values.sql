SET TIME ZONE 'UTC'; SET extra_float_digits = 1; SELECT "Id", "Expires"::text, "Seen"::text, "Ends"::text FROM "Keys" ORDER BY 1
