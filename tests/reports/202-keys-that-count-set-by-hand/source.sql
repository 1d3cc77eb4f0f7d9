create table a(id integer primary key, n text); insert into a values(1,'q'),(2,'r');
