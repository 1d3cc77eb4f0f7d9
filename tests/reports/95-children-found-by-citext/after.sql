select count(*) from c where n is not null; insert into c(n) values('BAR') returning id
