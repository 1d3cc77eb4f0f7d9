create table job(id serial primary key, level char(3) not null);
ALTER TABLE "job" ALTER COLUMN "level" TYPE varchar(3);
