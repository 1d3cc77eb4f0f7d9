create table a(id integer primary key, n text, u text); insert into a values(1,'x','u');
