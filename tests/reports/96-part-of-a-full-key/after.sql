insert into chs(a,b) values(1,2) returning id; insert into chf(a,b) values(1,2) returning id
