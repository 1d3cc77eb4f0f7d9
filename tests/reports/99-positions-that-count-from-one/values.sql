SELECT id, state FROM job ORDER BY id
