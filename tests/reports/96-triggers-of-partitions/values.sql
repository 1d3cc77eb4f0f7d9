SELECT id, coalesce(o, 0), y FROM i ORDER BY id
