-- The tool catalogue as EF Core 8 creates it on SQLite: integers for booleans, text for dates, decimals and GUIDs.
CREATE TABLE "__EFMigrationsHistory" (
    "MigrationId" TEXT NOT NULL CONSTRAINT "PK___EFMigrationsHistory" PRIMARY KEY,
    "ProductVersion" TEXT NOT NULL
);

CREATE TABLE "ToolCategories" (
    "Id" INTEGER NOT NULL CONSTRAINT "PK_ToolCategories" PRIMARY KEY AUTOINCREMENT,
    "Name" TEXT NOT NULL,
    "Slug" TEXT NOT NULL,
    "ParentId" INTEGER NULL,
    "SortOrder" INTEGER NOT NULL,
    "IsVisible" INTEGER NOT NULL,
    "CreatedAt" TEXT NOT NULL,
    CONSTRAINT "FK_ToolCategories_ToolCategories_ParentId" FOREIGN KEY ("ParentId") REFERENCES "ToolCategories" ("Id") ON DELETE RESTRICT
);

CREATE TABLE "ToolContents" (
    "Id" INTEGER NOT NULL CONSTRAINT "PK_ToolContents" PRIMARY KEY AUTOINCREMENT,
    "ExternalId" TEXT NOT NULL,
    "Title" TEXT NOT NULL,
    "Slug" TEXT NOT NULL,
    "Summary" TEXT NULL,
    "Body" TEXT NOT NULL,
    "CategoryId" INTEGER NULL,
    "Price" TEXT NULL,
    "AverageRating" REAL NULL,
    "ViewCount" INTEGER NOT NULL,
    "IsPublished" INTEGER NOT NULL,
    "ReleasedOn" TEXT NULL,
    "Icon" BLOB NULL,
    "CreatedAt" TEXT NOT NULL,
    "UpdatedAt" TEXT NULL,
    CONSTRAINT "FK_ToolContents_ToolCategories_CategoryId" FOREIGN KEY ("CategoryId") REFERENCES "ToolCategories" ("Id") ON DELETE SET NULL
);

CREATE TABLE "ToolFeatures" (
    "Id" INTEGER NOT NULL CONSTRAINT "PK_ToolFeatures" PRIMARY KEY AUTOINCREMENT,
    "ToolContentId" INTEGER NOT NULL,
    "Name" TEXT NOT NULL,
    "Description" TEXT NULL,
    "SortOrder" INTEGER NOT NULL,
    "IsHighlighted" INTEGER NOT NULL,
    "CreatedAt" TEXT NOT NULL,
    CONSTRAINT "FK_ToolFeatures_ToolContents_ToolContentId" FOREIGN KEY ("ToolContentId") REFERENCES "ToolContents" ("Id") ON DELETE CASCADE
);

CREATE TABLE "ToolSteps" (
    "Id" INTEGER NOT NULL CONSTRAINT "PK_ToolSteps" PRIMARY KEY AUTOINCREMENT,
    "ToolContentId" INTEGER NOT NULL,
    "StepNumber" INTEGER NOT NULL,
    "Title" TEXT NOT NULL,
    "Body" TEXT NOT NULL,
    "EstimatedMinutes" INTEGER NULL,
    "Cost" TEXT NOT NULL,
    CONSTRAINT "FK_ToolSteps_ToolContents_ToolContentId" FOREIGN KEY ("ToolContentId") REFERENCES "ToolContents" ("Id") ON DELETE CASCADE
);

CREATE TABLE "Tags" (
    "Id" INTEGER NOT NULL CONSTRAINT "PK_Tags" PRIMARY KEY AUTOINCREMENT,
    "Name" TEXT NOT NULL,
    "Slug" TEXT NOT NULL
);

CREATE TABLE "ToolContentTags" (
    "ToolContentId" INTEGER NOT NULL,
    "TagId" INTEGER NOT NULL,
    CONSTRAINT "PK_ToolContentTags" PRIMARY KEY ("ToolContentId", "TagId"),
    CONSTRAINT "FK_ToolContentTags_Tags_TagId" FOREIGN KEY ("TagId") REFERENCES "Tags" ("Id") ON DELETE CASCADE,
    CONSTRAINT "FK_ToolContentTags_ToolContents_ToolContentId" FOREIGN KEY ("ToolContentId") REFERENCES "ToolContents" ("Id") ON DELETE CASCADE
);

CREATE TABLE "ToolContentRelations" (
    "ToolContentId" INTEGER NOT NULL,
    "RelatedToolContentId" INTEGER NOT NULL,
    "AddedAt" TEXT NOT NULL,
    CONSTRAINT "PK_ToolContentRelations" PRIMARY KEY ("ToolContentId", "RelatedToolContentId"),
    CONSTRAINT "FK_ToolContentRelations_ToolContents_RelatedToolContentId" FOREIGN KEY ("RelatedToolContentId") REFERENCES "ToolContents" ("Id") ON DELETE CASCADE,
    CONSTRAINT "FK_ToolContentRelations_ToolContents_ToolContentId" FOREIGN KEY ("ToolContentId") REFERENCES "ToolContents" ("Id") ON DELETE CASCADE
);

CREATE INDEX "IX_ToolCategories_ParentId" ON "ToolCategories" ("ParentId");
CREATE UNIQUE INDEX "IX_ToolCategories_Slug" ON "ToolCategories" ("Slug");
CREATE INDEX "IX_ToolContents_CategoryId" ON "ToolContents" ("CategoryId");
CREATE UNIQUE INDEX "IX_ToolContents_ExternalId" ON "ToolContents" ("ExternalId");
CREATE UNIQUE INDEX "IX_ToolContents_Slug" ON "ToolContents" ("Slug");
CREATE INDEX "IX_ToolContents_Title_Id" ON "ToolContents" ("Title", "Id");
CREATE INDEX "IX_ToolFeatures_ToolContentId" ON "ToolFeatures" ("ToolContentId");
CREATE UNIQUE INDEX "IX_ToolSteps_ToolContentId_StepNumber" ON "ToolSteps" ("ToolContentId", "StepNumber");
CREATE UNIQUE INDEX "IX_Tags_Slug" ON "Tags" ("Slug");
CREATE INDEX "IX_ToolContentTags_TagId" ON "ToolContentTags" ("TagId");
CREATE INDEX "IX_ToolContentRelations_RelatedToolContentId" ON "ToolContentRelations" ("RelatedToolContentId");
