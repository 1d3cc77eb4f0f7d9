select id,coalesce(up,0) from n order by 1
