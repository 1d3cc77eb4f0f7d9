create table a(id integer primary key, v real); insert into a values(1,9007199254740992),(2,9007199254740994),(3,1e17),(4,1e15),(5,-1e18),(6,1152921504606846976.0);
