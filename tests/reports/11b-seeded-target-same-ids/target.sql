CREATE TABLE "VersionInfo" ("Version" bigint NOT NULL, "AppliedOn" timestamp, "Description" varchar(1024)); CREATE UNIQUE INDEX "UC_Version" ON "VersionInfo" ("Version");
INSERT INTO "VersionInfo" VALUES (1,now(),'Initial'),(2,now(),'Second');
CREATE TABLE "Profiles" ("Id" serial PRIMARY KEY, "Name" text NOT NULL); INSERT INTO "Profiles" VALUES (1,'Any'),(4,'SD');
CREATE TABLE "Movies" ("Id" serial PRIMARY KEY, "Title" text NOT NULL, "ProfileId" integer NOT NULL);
