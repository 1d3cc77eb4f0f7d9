SELECT id, replace(level, ' ', '_') FROM job ORDER BY id
