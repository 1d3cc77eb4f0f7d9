//! The part of production that is on this machine: configuration files, the SQLite file's schema and its migration history.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::Fingerprint;
use crate::regular_file;
use crate::runbook::frameworks::book_of;
use crate::sqlite::schema::quoted;
use crate::sqlite::{self, digest};

/// Looks at both. A configuration that is not there, or may not be read, is a state like any other.
pub(super) fn look(
    file: &Path,
    configurations: &[(String, PathBuf)],
) -> Result<Fingerprint, String> {
    let mut seen = Fingerprint::default();
    for (instance, path) in configurations {
        let state = match regular_file::read(path) {
            Ok(bytes) => digest::of_bytes(&bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => "not there".to_owned(),
            Err(error) => format!("not legible: {}", error.kind()),
        };
        let part = format!("the configuration of {instance} ({})", path.display());
        seen.put(part, state);
    }
    let shown = file.display();
    let identity = sqlite::identity(file).map_err(|error| format!("{shown}: {error}"))?;
    seen.put(format!("the SQLite file {shown}"), identity.to_string());
    let connection = sqlite::open_read_only(file).map_err(|error| error.to_string())?;
    schema(&connection, &mut seen).map_err(|error| format!("{shown}: {error}"))?;
    Ok(seen)
}

/// Every object of the schema by its text, and how many migrations are recorded.
fn schema(connection: &Connection, seen: &mut Fingerprint) -> rusqlite::Result<()> {
    let mut objects = connection
        .prepare("SELECT type, name, coalesce(sql, '') FROM sqlite_schema ORDER BY 1, 2")?;
    let objects: Vec<(String, String, String)> = objects
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    for (kind, name, sql) in objects {
        if kind == "table" && book_of(&name, std::iter::empty()).is_some() {
            let count = format!("SELECT count(*) FROM {}", quoted(&name));
            let rows: i64 = connection.query_row(&count, [], |row| row.get(0))?;
            seen.put(
                format!("the migration history {name} of the SQLite file"),
                rows.to_string(),
            );
        }
        seen.put(
            format!("{kind} {name} of the SQLite file"),
            digest::of_bytes(sql.as_bytes()),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_may_write_and_nobody_may_migrate() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("app.db");
        let open = Connection::open(&file).expect("a database");
        open.execute_batch("CREATE TABLE t(a); CREATE TABLE django_migrations(name TEXT)")
            .expect("tables");
        let config = folder.path().join("app.env");
        let places = [("app-1".to_owned(), config.clone())];
        let look = || look(&file, &places).expect("a look");
        let difference = |before: &Fingerprint| before.difference(&look());

        let before = look();
        open.execute_batch("INSERT INTO t VALUES (1)")
            .expect("a row");
        assert_eq!(difference(&before), None);
        for (sql, part) in [
            (
                "INSERT INTO django_migrations VALUES ('0001')",
                "django_migrations",
            ),
            ("CREATE INDEX i ON t(a)", "index i"),
            ("ALTER TABLE t ADD COLUMN b", "table t"),
        ] {
            let before = look();
            open.execute_batch(sql).expect("a change");
            let found = difference(&before).expect("a difference");
            assert!(found.contains(part), "{sql}: {found}");
        }
        let before = look();
        std::fs::write(&config, "A=b").expect("a file");
        let found = difference(&before).expect("a difference");
        assert!(found.starts_with("the configuration of app-1"), "{found}");
        let before = look();
        drop(open);
        std::fs::copy(&file, folder.path().join("copy")).expect("a copy");
        std::fs::rename(folder.path().join("copy"), &file).expect("another file");
        assert!(difference(&before).is_some_and(|d| d.contains("app.db has changed")));
    }
}
