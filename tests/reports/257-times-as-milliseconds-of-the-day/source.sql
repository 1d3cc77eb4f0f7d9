create table t(id integer primary key, st time); insert into t values(1,3599000),(2,9000000),(3,82800000),(4,NULL);
