SELECT (SELECT created FROM users WHERE id = 3), (SELECT count(*) FROM mail)
