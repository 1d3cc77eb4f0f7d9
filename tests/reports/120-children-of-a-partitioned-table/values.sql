select count(*) from item
