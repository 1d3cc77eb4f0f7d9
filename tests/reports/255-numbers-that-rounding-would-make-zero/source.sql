create table line(id integer primary key, q number(19)); insert into line values(1,0.1),(2,0.25),(3,0.4);
