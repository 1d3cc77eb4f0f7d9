select id from c
