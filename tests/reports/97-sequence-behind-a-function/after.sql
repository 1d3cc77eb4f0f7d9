insert into m(v) values('n') returning id
