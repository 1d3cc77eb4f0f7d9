SET TIME ZONE 'UTC'; SELECT "Id", "At", "Kinds" FROM "History" ORDER BY 1
