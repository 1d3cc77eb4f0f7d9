create table t(id integer primary key, st time); insert into t values(1,540),(2,30);
