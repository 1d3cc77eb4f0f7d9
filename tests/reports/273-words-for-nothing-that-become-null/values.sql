SELECT count(*), count(at), count(day), count(n), count(price) FROM t
