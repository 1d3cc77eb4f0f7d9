create table snapshot(id serial primary key, name text);
create table half(id bigserial primary key, name text);
create table pool(id serial primary key, name text);
create table taken(id bigserial primary key, name text);
