CREATE TABLE knex_migrations (id serial PRIMARY KEY, name varchar(255), batch integer, migration_time timestamptz); INSERT INTO knex_migrations (name, batch, migration_time) VALUES ('a.js',1,now());
CREATE TABLE post (id serial PRIMARY KEY, at timestamp, text_at timestamp);
