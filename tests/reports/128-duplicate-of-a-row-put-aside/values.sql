select id from u order by 1
