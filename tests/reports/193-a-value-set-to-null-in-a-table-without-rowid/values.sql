SELECT string_agg(c || k || ':' || coalesce(p_id::text, '-'), ' ' ORDER BY c, k) FROM t;
