SELECT id, state, n, r FROM t ORDER BY id
