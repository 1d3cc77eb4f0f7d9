select id,coalesce(k,'-') from c order by 1
