select id,coalesce(pa,0) from c order by 1
