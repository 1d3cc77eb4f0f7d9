SELECT id, owner, coalesce(helper, -1) FROM task ORDER BY 1
