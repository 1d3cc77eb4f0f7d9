CREATE TABLE "user" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "email" varchar(120) NOT NULL, "created" datetime NOT NULL DEFAULT (datetime('now')), "seen" datetime, CONSTRAINT "UQ_e12875dfb3b1d92d7d7c5377e22" UNIQUE ("email"));
INSERT INTO "user" VALUES (1,'ü@example.com','2023-11-14 22:13:20','2023-11-14 22:13:20.123');
