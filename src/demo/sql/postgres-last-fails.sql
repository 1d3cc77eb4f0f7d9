START TRANSACTION;

DO $EF$
BEGIN
    IF NOT EXISTS(SELECT 1 FROM "__EFMigrationsHistory" WHERE "MigrationId" = '20250110102044_AddListOrder') THEN
    CREATE INDEX "IX_ToolContents_Title_Id" ON "ToolContents" ("Titel", "Id");
    END IF;
END $EF$;

DO $EF$
BEGIN
    IF NOT EXISTS(SELECT 1 FROM "__EFMigrationsHistory" WHERE "MigrationId" = '20250110102044_AddListOrder') THEN
    INSERT INTO "__EFMigrationsHistory" ("MigrationId", "ProductVersion")
    VALUES ('20250110102044_AddListOrder', '8.0.11');
    END IF;
END $EF$;
COMMIT;

