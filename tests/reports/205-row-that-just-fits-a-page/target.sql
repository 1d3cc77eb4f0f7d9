do $$ begin execute 'create table w(id serial primary key,'||(select string_agg('c'||i||' text',',' order by i) from generate_series(0,450) i)||')'; end $$;
