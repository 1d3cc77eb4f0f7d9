create table snapshot(id serial, name text, primary key(id)); insert into snapshot(name) values('only');
create table half(id bigint primary key, name text); insert into half values(1,'a'),(NULL,'b'),(NULL,'c');
create table pool(id int(11) primary key, name text); insert into pool(name) values('a'),('b'),('c');
create table taken(id bigint primary key, name text); insert into taken values(2,'a'),(NULL,'b'),(7,'c');
UPDATE "snapshot" SET "id" = rowid WHERE "id" IS NULL;
UPDATE "half" SET "id" = rowid WHERE "id" IS NULL;
UPDATE "pool" SET "id" = rowid WHERE "id" IS NULL;
UPDATE "taken" SET "id" = (SELECT max("id") FROM "taken") + rowid WHERE "id" IS NULL;
