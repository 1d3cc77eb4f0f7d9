CREATE TABLE "__EFMigrationsHistory" ("MigrationId" text PRIMARY KEY, "ProductVersion" text);
CREATE TABLE "Keys" ("Id" serial PRIMARY KEY, "Expires" timestamp NOT NULL, "Seen" timestamptz, "Ends" timestamptz);
