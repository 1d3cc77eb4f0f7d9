create table a(id integer primary key, n text); insert into a values(1,'q'),(2,'r');
create table b(id integer primary key, tenant int); insert into b values(1,1),(2,1);
