create table job(id serial primary key, level char(1) not null);
create table log(id serial primary key, job int references job(id));
