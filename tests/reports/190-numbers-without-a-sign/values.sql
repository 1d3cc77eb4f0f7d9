SELECT "Id", "Hash" FROM "Files" ORDER BY 1
