create table job(id integer primary key, level char(1) not null); insert into job values(1,'F'),(2,' '),(3,'I');
create table log(id integer primary key, job int references job(id)); insert into log values(1,2);
