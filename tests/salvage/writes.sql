INSERT INTO "Tools" ("Slug", "Title", "Price", "Rating", "Active", "Created", "Blob", "Icon") VALUES
    ('five', 'Fünf \ ''5''', 20, 0.1, false, '2026-01-02 03:04:05.25+02', 'a1b2c3d4-e5f6-4711-8899-aabbccddee05', '\x0102');
UPDATE "Tools" SET "Slug" = 'zwei', "Price" = 99.5, "Icon" = '\xff', "Created" = NULL WHERE "Id" = 2;
UPDATE "Tools" SET "Title" = "Title" WHERE "Id" = 4;
INSERT INTO "Orders" ("ToolId", "At") VALUES (5, '2024-02-29 12:34:59+00');
DELETE FROM "Orders" WHERE "Id" = 3;
UPDATE "Tags" SET "Weight" = 30 WHERE "Name" = 'b';
UPDATE "Tags" SET "Name" = 'c' WHERE "ToolId" = 2;
DELETE FROM "Notes" WHERE ctid = (SELECT min(ctid) FROM "Notes");
INSERT INTO "Notes" VALUES ('z', 3), ('z', 3);
