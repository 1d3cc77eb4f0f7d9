CREATE TABLE payload_migrations (id serial PRIMARY KEY, name varchar, batch numeric, updated_at timestamp(3) with time zone DEFAULT now() NOT NULL, created_at timestamp(3) with time zone DEFAULT now() NOT NULL); INSERT INTO payload_migrations (name, batch) VALUES ('postgres_initial',1);
CREATE TABLE strapi_database_schema (id serial PRIMARY KEY, schema json, time timestamp, hash varchar(255)); INSERT INTO strapi_database_schema (schema, time, hash) VALUES ('{"tables":[]}', now(), 'of-postgres');
CREATE TABLE xc_knex_migrationsv2 (id serial PRIMARY KEY, name varchar(255), batch integer, migration_time timestamptz); INSERT INTO xc_knex_migrationsv2 (name, batch, migration_time) VALUES ('of_postgres',1,now());
CREATE TABLE xc_knex_migrationsv2_lock ("index" serial PRIMARY KEY, is_locked integer); INSERT INTO xc_knex_migrationsv2_lock (is_locked) VALUES (0);
CREATE TABLE bird_migrations (id serial PRIMARY KEY, name text, batch integer);
