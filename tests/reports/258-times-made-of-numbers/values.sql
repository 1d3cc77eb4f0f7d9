SELECT id, st, us FROM t ORDER BY id
