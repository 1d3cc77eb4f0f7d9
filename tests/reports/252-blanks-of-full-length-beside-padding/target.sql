create table job(id serial primary key, level char(2) not null);
