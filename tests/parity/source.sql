-- A small application as EF Core leaves it in SQLite, with every type pair that the checker knows.
CREATE TABLE "Categories" ("Id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "Slug" TEXT NOT NULL, "Name" TEXT NOT NULL, "ParentId" INTEGER NULL REFERENCES "Categories" ("Id"));
CREATE TABLE "Tools" (
  "Id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "Slug" TEXT NOT NULL, "Title" TEXT NOT NULL, "Body" TEXT NULL, "Published" INTEGER NOT NULL,
  "Price" TEXT NOT NULL, "Rating" REAL NULL, "ExternalId" TEXT NOT NULL, "CreatedAt" TEXT NOT NULL, "Day" TEXT NULL, "Opens" TEXT NULL,
  "Took" TEXT NULL, "Meta" TEXT NULL, "Payload" BLOB NULL, "Code" TEXT NULL, "CategoryId" INTEGER NOT NULL REFERENCES "Categories" ("Id"));
CREATE TABLE "ToolTags" ("ToolId" INTEGER NOT NULL REFERENCES "Tools" ("Id"), "Tag" TEXT NOT NULL, "Weight" INTEGER NOT NULL, PRIMARY KEY ("ToolId", "Tag")) WITHOUT ROWID;
CREATE TABLE "Log" ("At" TEXT NULL, "Line" TEXT NULL);
CREATE TABLE "Empty" ("Id" INTEGER NOT NULL PRIMARY KEY, "V" TEXT);
CREATE TABLE "Ignored" ("Id" INTEGER NOT NULL PRIMARY KEY);
CREATE VIEW "Names" AS SELECT "Title" FROM "Tools";

WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12)
INSERT INTO "Categories" SELECT i, 'cat-' || i, 'Category ' || i, CASE WHEN i > 3 THEN 1 + i % 3 END FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
INSERT INTO "Tools" SELECT i, 'tool-' || i, CASE i % 4 WHEN 0 THEN 'é' WHEN 1 THEN 'Z' WHEN 2 THEN '_' ELSE 'a' END || ' number ' || i,
  CASE WHEN i % 5 THEN 'Tab	and "quote" and \backslash ' || i || char(10) || 'zweite Zeile' END, i % 3 <> 0, printf('%d.%02d', i % 100, i % 97),
  CASE WHEN i % 7 THEN i / 8.0 END, upper(printf('%08x-0000-4000-8000-%012x', i, i * 7919)),
  strftime('%Y-%m-%d %H:%M:%S', 1600000000 + i * 86400, 'unixepoch') || printf('.%07d', i * 12345 % 10000000),
  CASE WHEN i % 2 THEN strftime('%Y-%m-%d', 1600000000 + i * 86400, 'unixepoch') END, CASE WHEN i % 3 THEN printf('%02d:%02d:00', i % 24, i % 60) END,
  CASE WHEN i % 4 THEN printf('%d.%02d:%02d:00.5', i, i % 24, i % 60) END, CASE WHEN i % 3 THEN '{"n":' || i || ',"a":[1,2.50,"x"]}' END,
  CASE WHEN i % 6 THEN unhex(printf('%08x', i)) END, CASE WHEN i % 2 THEN 'c' || (i % 10) END, 1 + i % 12 FROM n;
INSERT INTO "ToolTags" SELECT "Id", 'tag-' || (1 + "Id" % 5), "Id" % 11 FROM "Tools" UNION ALL SELECT "Id", 'other', 1 FROM "Tools" WHERE "Id" % 2;
INSERT INTO "Log" SELECT '2024-01-01 00:00:00', 'same line' FROM "Tools" WHERE "Id" <= 20 UNION ALL SELECT NULL, 'line ' || "Id" FROM "Tools" WHERE "Id" <= 30;
