SELECT id, tenant FROM m ORDER BY 1
