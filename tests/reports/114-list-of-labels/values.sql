SELECT id, tags FROM job ORDER BY id
