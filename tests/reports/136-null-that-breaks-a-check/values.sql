select id,coalesce(a,0),coalesce(b,0) from c order by 1
