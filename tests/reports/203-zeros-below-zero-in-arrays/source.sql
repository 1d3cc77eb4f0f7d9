create table a(id integer primary key, v text); insert into a values(1,'[-0]'),(2,'[1,-0]');
create table b(id integer primary key, v text); insert into b values(1,'[-0]');
create table c(id integer primary key, v text); insert into c values(1,'[-0, 7]');
create table f(id integer primary key, v text); insert into f values(1,'[-0, 0, -0.0]');
