select id,coalesce(a,0) from c order by 1
