CREATE TABLE "schema_migrations" ("version" varchar NOT NULL PRIMARY KEY);
CREATE TABLE "ar_internal_metadata" ("key" varchar NOT NULL PRIMARY KEY, "value" varchar, "created_at" datetime(6) NOT NULL, "updated_at" datetime(6) NOT NULL);
CREATE TABLE "birds" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "name" varchar);
INSERT INTO schema_migrations VALUES ('20210101000000');
INSERT INTO ar_internal_metadata VALUES ('environment', 'production', '2021-01-01 00:00:00.000000', '2021-01-01 00:00:00.000000');
INSERT INTO birds VALUES (1, 'wren');
