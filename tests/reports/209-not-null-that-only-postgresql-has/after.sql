insert into a(n) values('q') returning id
