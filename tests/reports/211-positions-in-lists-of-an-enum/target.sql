create type mood as enum('sad','ok','happy'); create table a(id serial primary key, m mood[]);
