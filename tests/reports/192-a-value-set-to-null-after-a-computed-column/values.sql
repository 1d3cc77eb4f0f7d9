SELECT string_agg(id || ':' || coalesce(p_id::text, '-') || ':' || gen, ' ' ORDER BY id) FROM t;
