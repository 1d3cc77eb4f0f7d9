create table job(id serial primary key, level char(3) not null);
