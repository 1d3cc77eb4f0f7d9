SELECT id, octet_length(level), '[' || replace(to_json(level)::text, ' ', '_') || ']' FROM job ORDER BY id; SELECT job FROM log
