create table line(id integer primary key, q real); insert into line values(1,0.125),(2,7.0),(3,-0.125);
