CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);
CREATE VIRTUAL TABLE search USING fts5(body); CREATE VIRTUAL TABLE scratch USING fts5(words);
CREATE TRIGGER notes_added AFTER INSERT ON notes BEGIN INSERT INTO search (rowid, body) VALUES (new.id, new.body); END;
CREATE TRIGGER notes_gone AFTER DELETE ON notes BEGIN DELETE FROM search WHERE rowid = old.id; END;
INSERT INTO notes VALUES (1,'hello'); INSERT INTO scratch VALUES ('kept nowhere else');
