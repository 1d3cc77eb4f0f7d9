SELECT (SELECT count(*) FROM p), (SELECT count(*) FROM child)
