create table t(id integer primary key, st time, us time); insert into t values(1,3599000,1),(2,9000001,30000000001),(3,82800000,NULL),(4,NULL,3600000000);
UPDATE "t" SET "st" = strftime('%H:%M:%f', "st"/1000.0, 'unixepoch') WHERE typeof("st") = 'integer' AND "st" BETWEEN 0 AND 86399999;
UPDATE "t" SET "us" = strftime('%H:%M:%S', "us"/1000000, 'unixepoch') || printf('.%06d', "us" % 1000000) WHERE typeof("us") = 'integer' AND "us" BETWEEN 0 AND 86399999999;
