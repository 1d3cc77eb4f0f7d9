insert into t(v) values('n') returning id
