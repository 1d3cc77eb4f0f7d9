SELECT id, coalesce(session_id, 0), p FROM visit ORDER BY 1
