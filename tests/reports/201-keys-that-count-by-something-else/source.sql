create table a(id integer primary key, n text); insert into a values(1,'q'),(2,'r');
create table b(id integer primary key, n text); insert into b values(1,'q'),(2,'r');
create table c(id integer primary key, n text); insert into c values(1,'q'),(2,'r');
create table d(id integer primary key, n text);
create table e(id integer primary key, n text, code text unique); insert into e values(1,'q','x'),(2,'r','y');
