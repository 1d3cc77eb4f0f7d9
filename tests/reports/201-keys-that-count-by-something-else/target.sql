create table id_gen(tbl text primary key, next bigint); insert into id_gen values('a',1); create function next_id(t text) returns bigint language plpgsql as $$ declare r bigint; begin update id_gen set next=next+1 where tbl=t returning next-1 into r; return r; end $$; create table a(id bigint default next_id('a') primary key, n text);
create sequence b_id_seq; create function named(t text) returns bigint language plpgsql as $$ begin return nextval(format('%I', t||'_id_seq')); end $$; create table b(id bigint default named('b') primary key, n text);
create table ids(id bigserial); create table c(id bigint default nextval(pg_get_serial_sequence('ids','id')) primary key, n text);
create table d(id bigint default next_id('d') primary key, n text);
create function chance() returns text language sql as $$ select md5(random()::text) $$; create table e(id serial primary key, n text, code text unique default chance());
