create table emp(id integer primary key, boss int references emp(id), dept int references dept(id), n text); create table dept(id integer primary key, head int not null references emp(id));
insert into emp values(1,null,1,'a'),(2,1,1,'b'),(3,99,2,'c'),(4,3,2,'d'); insert into dept values(1,1),(2,3),(3,77);
