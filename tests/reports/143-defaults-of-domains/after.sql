INSERT INTO t (v) VALUES ('n') RETURNING id, l, p
