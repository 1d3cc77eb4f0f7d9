//! What nobody named and nobody may touch: files byte by byte with their modes and times, databases row by row with the place of each row
//! on disk, so that a rewritten one shows too.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tokio_postgres::{Client, NoTls};

/// Files that a cutover has no business with, beside the application's own and named like ours.
const FILES: &[(&str, u32)] = &[
    (".env", 0o600),
    (".env.production", 0o640),
    (".cutover-foo/journal.db", 0o644),
    (".cutover-foo/orders.json", 0o600),
    ("backup/tools.db", 0o440),
    ("backup/SHA256SUMS", 0o644),
    ("backups/from-last-year.sqlite3", 0o440),
    ("copy.db", 0o644),
    ("journal.db", 0o644),
    ("preserved/note.txt", 0o644),
    ("rehearsal/app.db", 0o644),
    ("rehearsal/backup/precious.sql", 0o600),
    ("rehearsal/incident.md", 0o644),
    ("rehearsal/maintenance", 0o644),
    ("rehearsal/notes.txt", 0o644),
    ("rehearsal/second/kept", 0o644),
    ("salvage.json", 0o644),
    ("data/app.db.sha256", 0o644),
    ("data/backup/of-uploads.tar", 0o644),
    ("data/incident.md", 0o644),
    ("data/maintenance", 0o644),
    ("data/second/kept", 0o644),
    ("data/uploads/cover 1.jpg", 0o644),
    ("data/uploads/żółw/über.pdf", 0o600),
    ("data/uploads/.partial", 0o644),
];

/// Puts the canary files into a folder. The connection that is returned keeps the write-ahead log of one of them alive.
pub(super) fn put(dir: &Path) -> rusqlite::Connection {
    for (name, mode) in FILES {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        std::fs::write(&path, format!("the bytes of {name}\n").repeat(50)).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(*mode)).expect("a mode");
    }
    symlink("data/uploads", dir.join("uploads")).expect("a link");
    symlink("/nowhere/at/all", dir.join("data/dangling")).expect("a link");
    symlink("../.env", dir.join("data/env")).expect("a link");
    let other = rusqlite::Connection::open(dir.join("data/other.sqlite3")).expect("a database");
    let rows = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
        CREATE TABLE kept(id INTEGER PRIMARY KEY, what TEXT); INSERT INTO kept(what) VALUES ('one'), ('two'), (NULL);";
    other.execute_batch(rows).expect("rows");
    other
}

/// What there is to know of a file, so that any change shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    mode: u32,
    owner: (u32, u32),
    inode: u64,
    /// Of a folder, only where nothing of ours belongs into it: whatever is made in it changes this.
    modified_ns: i128,
    /// A digest of a file's bytes, a link's target, nothing of a folder.
    content: String,
}

/// Everything below a folder but what `is_ours` says is ours, by its path.
pub(super) fn files(dir: &Path, is_ours: &dyn Fn(&Path) -> bool) -> BTreeMap<PathBuf, Known> {
    let mut found = BTreeMap::new();
    walk(dir, dir, is_ours, &mut found);
    found
}

fn walk(
    root: &Path,
    dir: &Path,
    is_ours: &dyn Fn(&Path) -> bool,
    found: &mut BTreeMap<PathBuf, Known>,
) {
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.strip_prefix(root).expect("below").to_owned();
        if is_ours(&name) {
            continue;
        }
        let about = std::fs::symlink_metadata(&path).expect("metadata");
        let mut modified_ns =
            i128::from(about.mtime()) * 1_000_000_000 + i128::from(about.mtime_nsec());
        let content = if about.is_dir() {
            modified_ns = 0;
            walk(root, &path, is_ours, found);
            String::new()
        } else if about.is_symlink() {
            std::fs::read_link(&path)
                .expect("a link")
                .display()
                .to_string()
        } else {
            let bytes = std::fs::read(&path).expect("a file");
            Sha256::digest(bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect()
        };
        let known = Known {
            mode: about.mode(),
            owner: (about.uid(), about.gid()),
            inode: about.ino(),
            modified_ns,
            content,
        };
        found.insert(name, known);
    }
}

/// Asserts that two looks at the same things saw the same.
pub(super) fn assert_same<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    when: &str,
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
) {
    let mut changed = Vec::new();
    for (key, known) in before {
        match after.get(key) {
            None => changed.push(format!("{key:?} is gone")),
            Some(now) if now != known => {
                changed.push(format!("{key:?} was {known:?} and is {now:?}"));
            }
            Some(_) => {}
        }
    }
    let new = after.keys().filter(|key| !before.contains_key(key));
    changed.extend(new.map(|key| format!("{key:?} is new")));
    assert!(
        changed.is_empty(),
        "{when}, {} canaries were touched:\n{}",
        changed.len(),
        changed.join("\n")
    );
}

/// Connects as whoever a URL names.
pub(super) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .expect("PostgreSQL");
    tokio::spawn(connection);
    client
}

/// What a canary database holds: keys of every kind, a sequence, a comment, an index, a child table, names like ours.
pub(super) const ROWS: &str = r#"
    CREATE TABLE kept(id serial PRIMARY KEY, what text UNIQUE, at timestamptz DEFAULT '2020-02-02');
    INSERT INTO kept(what) SELECT 'row ' || n FROM generate_series(1, 20) n;
    CREATE TABLE child(kept int REFERENCES kept, UNIQUE (kept));
    INSERT INTO child SELECT id FROM kept LIMIT 5;
    CREATE TABLE "lending_book"(id bigint PRIMARY KEY, title text);
    INSERT INTO "lending_book" VALUES (1, 'somebody else''s');
    CREATE SCHEMA other;
    CREATE TABLE other.kept(n int) WITH (fillfactor = 50);
    INSERT INTO other.kept VALUES (1), (2);
    COMMENT ON TABLE other.kept IS 'cutover: not yours';
    CREATE VIEW other.seen AS SELECT count(*) FROM kept;
    CREATE FUNCTION other.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
"#;

/// Each relation of these schemas: its storage, definition and comment, and every row with its place and the transaction that wrote it.
pub(super) async fn rows(database_url: &str, schemas: &[&str]) -> BTreeMap<String, Vec<String>> {
    let client = connect(database_url).await;
    let relations = "SELECT format('%I.%I', n.nspname, c.relname), c.relkind::text, concat_ws(' | ', c.relfilenode, c.reloptions, c.relacl, c.relowner, c.relhastriggers,
            obj_description(c.oid), (SELECT string_agg(pg_get_constraintdef(o.oid), '; ' ORDER BY o.conname) FROM pg_constraint o WHERE o.conrelid = c.oid),
            (SELECT string_agg(pg_get_indexdef(i.indexrelid), '; ' ORDER BY i.indexrelid) FROM pg_index i WHERE i.indrelid = c.oid))
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'i')";
    let mut found = BTreeMap::new();
    for row in client
        .query(relations, &[&schemas])
        .await
        .expect("relations")
    {
        let (name, kind, about): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let content = match kind.as_str() {
            "r" => format!(
                "SELECT concat_ws(' ', xmin, ctid, t::text) FROM ONLY {name} t ORDER BY ctid"
            ),
            "S" => format!("SELECT concat_ws(' ', last_value, is_called) FROM {name}"),
            _ => format!("SELECT '{kind}'"),
        };
        let content = client.query(&content, &[]).await.expect("rows");
        let mut all = vec![about];
        all.extend(content.iter().map(|row| row.get::<_, String>(0)));
        found.insert(name, all);
    }
    found
}

/// What belongs to the whole server: databases and roles whose names begin so, with their rights and what is set for them.
pub(super) async fn server(superuser_url: &str, begin: &str) -> BTreeMap<String, Vec<String>> {
    let client = connect(superuser_url).await;
    let mut found = BTreeMap::new();
    for (what, query) in [
        (
            "databases",
            "SELECT concat_ws(' ', oid, datname, datdba, datacl, datconnlimit) FROM pg_database WHERE starts_with(datname, $1) ORDER BY 1",
        ),
        (
            "roles",
            "SELECT concat_ws(' ', rolname, rolcanlogin, rolsuper, rolconnlimit, rolpassword) FROM pg_authid WHERE starts_with(rolname, $1) ORDER BY 1",
        ),
        (
            "settings",
            "SELECT concat_ws(' ', d.datname, r.rolname, s.setconfig) FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase
             LEFT JOIN pg_roles r ON r.oid = s.setrole WHERE starts_with(d.datname, $1) OR starts_with(r.rolname, $1) ORDER BY 1",
        ),
    ] {
        let rows = client.query(query, &[&begin]).await.expect("the catalogue");
        let rows = rows.iter().map(|row| row.get(0));
        found.insert(what.to_owned(), rows.collect::<Vec<String>>());
    }
    found
}
