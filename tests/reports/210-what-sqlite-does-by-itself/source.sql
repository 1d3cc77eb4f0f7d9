create table a(id integer primary key, n text collate nocase unique, u text unique on conflict replace); insert into a values(1,'x','k');
create trigger a_u after insert on a begin update a set u = new.n where id = new.id and u is null; end;
create table c(id integer primary key, a int references a(id) on delete cascade deferrable initially deferred); insert into c values(1,1);
create table kept(id integer primary key, a int references a(id) on delete cascade); insert into kept values(1,1);
