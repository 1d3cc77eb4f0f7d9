create table job(id integer primary key, level char(2) not null); insert into job values(1,'F'),(2,'G '),(3,'  '),(4,'HI');
