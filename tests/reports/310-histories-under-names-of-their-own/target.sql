CREATE TABLE typeorm_migrations (id serial PRIMARY KEY, timestamp bigint NOT NULL, name varchar NOT NULL); INSERT INTO typeorm_migrations (timestamp, name) VALUES (1709251199998,'PgInit1709251199998');
CREATE TABLE adonis_schema (id serial PRIMARY KEY, name varchar(255) NOT NULL, batch integer NOT NULL, migration_time timestamptz DEFAULT CURRENT_TIMESTAMP); INSERT INTO adonis_schema (name, batch) VALUES ('pg/1_users',1);
CREATE TABLE adonis_schema_versions (version integer PRIMARY KEY); INSERT INTO adonis_schema_versions VALUES (2);
CREATE TABLE d1_migrations (id serial PRIMARY KEY, name text UNIQUE, applied_at timestamp DEFAULT CURRENT_TIMESTAMP NOT NULL); INSERT INTO d1_migrations (name) VALUES ('pg');
CREATE TABLE sequelize_meta (name varchar(255) PRIMARY KEY); INSERT INTO sequelize_meta VALUES ('pg.js');
CREATE TABLE app_migrations (id serial PRIMARY KEY, migration varchar NOT NULL, batch integer NOT NULL); INSERT INTO app_migrations (migration, batch) VALUES ('pg',1);
CREATE TABLE shop_versions (id serial PRIMARY KEY, version_id bigint NOT NULL, is_applied boolean NOT NULL, tstamp timestamp DEFAULT now()); INSERT INTO shop_versions (version_id, is_applied) VALUES (2,true);
CREATE TABLE alembic_of_shop (version_num varchar(32) PRIMARY KEY); INSERT INTO alembic_of_shop VALUES ('pg');
CREATE TABLE bird_migrations (id serial PRIMARY KEY, name text, batch integer);
