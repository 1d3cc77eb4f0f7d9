create table a(id integer primary key, m text); insert into a values(1,'1,2'),(2,'0');
