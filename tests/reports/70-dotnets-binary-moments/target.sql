CREATE TABLE "__EFMigrationsHistory" ("MigrationId" text PRIMARY KEY, "ProductVersion" text);
CREATE TABLE "Jobs" ("Id" serial PRIMARY KEY, "Started" timestamptz, "Due" timestamptz);
