SET TIME ZONE 'UTC'; SET extra_float_digits = 1; SELECT pr_id, pr_expiry::text, pr_since::text, pr_type FROM page_restrictions ORDER BY 1
