create table line(id serial primary key, q numeric(38,0));
