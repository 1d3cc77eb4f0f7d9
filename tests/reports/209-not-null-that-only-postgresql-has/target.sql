create table a(id serial primary key, n text, u text not null);
