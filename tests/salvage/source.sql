CREATE TABLE Tools (
    Id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, Slug TEXT NOT NULL, Title TEXT NOT NULL, Price TEXT, Rating REAL,
    Active INTEGER NOT NULL, Created TEXT, Blob BLOB, Icon BLOB, Twice INTEGER GENERATED ALWAYS AS (Id * 2) VIRTUAL);
CREATE UNIQUE INDEX IX_Tools_Slug ON Tools (Slug);
INSERT INTO Tools (Id, Slug, Title, Price, Rating, Active, Created, Blob, Icon) VALUES
    (1, 'one', 'One', '100.0', 4.5, 1, '2024-02-29 12:34:56.1234560', x'd4c3b2a1f6e511478899aabbccddeeff', x'00ff'),
    (2, 'two', 'Two', '12.25', 0.25, 0, '2024-02-29 12:34:56.5', x'd4c3b2a1f6e511478899aabbccddee00', NULL),
    (3, 'three', 'Three', NULL, NULL, 1, NULL, x'd4c3b2a1f6e511478899aabbccddee01', NULL),
    (4, 'four', 'Four', '7.5', 1.0, 1, '2024-02-29 12:34:57', x'd4c3b2a1f6e511478899aabbccddee02', x'');
CREATE TABLE Orders (
    Id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, ToolId INTEGER NOT NULL REFERENCES Tools (Id) ON DELETE CASCADE, At INTEGER);
INSERT INTO Orders VALUES (1, 1, 1709210096), (2, 2, 1709210097), (3, 2, 1709210098);
CREATE TABLE Tags (Name TEXT NOT NULL, ToolId INTEGER NOT NULL, Weight INTEGER, PRIMARY KEY (Name, ToolId)) WITHOUT ROWID;
INSERT INTO Tags VALUES ('a', 1, 1), ('a', 2, 2), ('b', 1, 3);
CREATE TABLE Notes (Text TEXT, N INTEGER);
INSERT INTO Notes VALUES ('x', 1), ('x', 1), ('y', NULL);
