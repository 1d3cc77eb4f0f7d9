SELECT id, name FROM role ORDER BY 1
