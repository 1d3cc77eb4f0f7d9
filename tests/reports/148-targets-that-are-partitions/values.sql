SELECT id, y FROM log ORDER BY y, id
