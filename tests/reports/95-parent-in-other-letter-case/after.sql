insert into c(code) values('Abc') returning id
