insert into draft(v) values('c') returning id
