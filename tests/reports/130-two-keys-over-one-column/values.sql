select id,tenant_id,coalesce(user_id,0) from doc order by 1
