select id from c order by 1
