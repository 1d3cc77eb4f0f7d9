create table line(id serial primary key, q numeric(10,2));
