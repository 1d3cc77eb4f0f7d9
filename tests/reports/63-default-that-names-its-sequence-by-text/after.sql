insert into t(v) values('c') returning id
