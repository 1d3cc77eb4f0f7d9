SELECT (SELECT count(*) FROM far), (SELECT max(b) FROM far), (SELECT count(*) FROM n)
