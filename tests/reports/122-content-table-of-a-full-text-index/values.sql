select id,body from posts_content order by 1
