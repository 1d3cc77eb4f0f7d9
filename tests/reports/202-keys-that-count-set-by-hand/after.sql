insert into a(n) values('z') returning id
