create table t(id serial primary key, st time);
