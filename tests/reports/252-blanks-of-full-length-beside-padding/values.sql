SELECT id, replace(to_json(level)::text, ' ', '_') FROM job ORDER BY id
