insert into doc(v) values('n') returning id
