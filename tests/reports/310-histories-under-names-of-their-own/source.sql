CREATE TABLE typeorm_migrations (id integer PRIMARY KEY AUTOINCREMENT NOT NULL, timestamp bigint NOT NULL, name varchar NOT NULL); INSERT INTO typeorm_migrations (timestamp, name) VALUES ('1709251199999','Init1709251199999');
CREATE TABLE adonis_schema (id integer NOT NULL PRIMARY KEY AUTOINCREMENT, name varchar(255) NOT NULL, batch integer NOT NULL, migration_time datetime DEFAULT CURRENT_TIMESTAMP); INSERT INTO adonis_schema (name, batch) VALUES ('lite/1_users',1);
CREATE TABLE adonis_schema_versions (version integer NOT NULL PRIMARY KEY); INSERT INTO adonis_schema_versions VALUES (1);
CREATE TABLE d1_migrations (id integer PRIMARY KEY AUTOINCREMENT, name text UNIQUE, applied_at timestamp DEFAULT CURRENT_TIMESTAMP NOT NULL); INSERT INTO d1_migrations (name) VALUES ('lite');
CREATE TABLE sequelize_meta (name varchar(255) PRIMARY KEY); INSERT INTO sequelize_meta VALUES ('lite.js');
CREATE TABLE app_migrations (id integer PRIMARY KEY, migration varchar NOT NULL, batch integer NOT NULL); INSERT INTO app_migrations VALUES (1,'lite',1);
CREATE TABLE shop_versions (id integer PRIMARY KEY AUTOINCREMENT, version_id integer NOT NULL, is_applied integer NOT NULL, tstamp timestamp DEFAULT (datetime('now'))); INSERT INTO shop_versions (version_id, is_applied) VALUES (1,1);
CREATE TABLE alembic_of_shop (version_num varchar(32) PRIMARY KEY); INSERT INTO alembic_of_shop VALUES ('lite');
CREATE TABLE bird_migrations (id INTEGER PRIMARY KEY, name TEXT, batch INTEGER); INSERT INTO bird_migrations VALUES (1,'stork',1);
