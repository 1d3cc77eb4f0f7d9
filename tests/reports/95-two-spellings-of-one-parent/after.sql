insert into c(p) values(1) returning id
