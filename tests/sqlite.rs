//! The SQLite side: which files are refused and why, the write fence against real other processes, backups on real disks.

#[path = "sqlite/backup.rs"]
mod backup;
#[path = "sqlite/fence.rs"]
mod fence;
#[path = "sqlite/files.rs"]
mod files;
#[path = "sqlite/names.rs"]
mod names;
#[path = "sqlite/other.rs"]
mod other;

use std::path::{Path, PathBuf};

use rusqlite::Connection;

/// A folder that is gone afterwards, with a database of `rows` rows in the given journal mode.
pub struct Sample {
    pub folder: tempfile::TempDir,
    pub path: PathBuf,
}

impl Sample {
    pub fn new(journal_mode: &str, rows: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .pragma_update(None, "journal_mode", journal_mode)
            .unwrap();
        connection
            .execute_batch(&format!(
                "CREATE TABLE Tools (Id INTEGER PRIMARY KEY, Slug TEXT NOT NULL);
                 CREATE UNIQUE INDEX IX_Tools_Slug ON Tools (Slug);
                 CREATE TABLE Steps (Id INTEGER PRIMARY KEY, ToolId INTEGER REFERENCES Tools (Id), Body TEXT);
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
                 INSERT INTO Tools SELECT i, 'tool-' || i FROM n;
                 INSERT INTO Steps SELECT Id, Id, hex(zeroblob(200)) FROM Tools;"
            ))
            .unwrap();
        Self { folder, path }
    }

    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

pub fn count(path: &Path) -> i64 {
    let connection = cutover::sqlite::open_read_only(path).unwrap();
    connection
        .query_row("SELECT count(*) FROM Tools", [], |row| row.get(0))
        .unwrap()
}
