//! A place of a foreign night: the folder in which the library lives among canaries, its databases on a server where others live too, and
//! what has to be as it was whatever was done.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::OnceCell;

use super::application::Application;
use super::bridge::Bridge;
use super::canaries::{self, Known};
use super::runbook;
use crate::support;

/// A database, for its owner, for the application and for the superuser.
pub(super) struct Database {
    pub(super) url: String,
    pub(super) runtime_url: String,
    pub(super) superuser_url: String,
}

/// The library among canaries.
pub(super) struct Place {
    pub(super) application: Application,
    pub(super) target: Database,
    pub(super) scratch: Database,
    /// Nobody names it; its owner is the one who owns the target.
    pub(super) canary: Database,
    dir: PathBuf,
    /// Names of its databases and roles begin so.
    begin: String,
    _keeps_a_log_alive: rusqlite::Connection,
    _root: tempfile::TempDir,
}

/// Everything that has to be as it was.
pub(super) struct Canaries {
    files: BTreeMap<PathBuf, Known>,
    rows: Vec<(&'static str, BTreeMap<String, Vec<String>>)>,
    server: BTreeMap<String, Vec<String>>,
}

impl Place {
    /// Makes one with so many books. No slot runs yet.
    pub(super) async fn make(books: u32) -> Place {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let begin = format!("foreign_{}_", NEXT.fetch_add(1, Ordering::Relaxed));
        let roles = ["owner", "runtime"]
            .map(|role| format!("CREATE ROLE {begin}{role} LOGIN PASSWORD 'of-the-library'"));
        let cluster = support::cluster();
        cluster.execute("postgres", &roles).await.expect("roles");
        let sees_all = format!("GRANT pg_monitor TO {begin}owner");
        cluster
            .execute("postgres", &[sees_all])
            .await
            .expect("a grant");
        let target = database(&begin, "target").await;
        let scratch = database(&begin, "scratch").await;
        let canary = database(&begin, "canary").await;
        let rows = canaries::ROWS;
        execute(&canary.url, rows).await;
        execute(
            &target.url,
            &format!(
                "CREATE SCHEMA kept; SET search_path TO kept; {}",
                rows.replace("other", "kept_too")
            ),
        )
        .await;

        let root = tempfile::tempdir().expect("a folder");
        open_to_all(root.path());
        let dir = root.path().join("library");
        let application = Application::unpack(&dir, books, &target.runtime_url);
        let keeps_a_log_alive = canaries::put(&dir);
        Place {
            application,
            target,
            scratch,
            canary,
            dir,
            begin,
            _keeps_a_log_alive: keeps_a_log_alive,
            _root: root,
        }
    }

    /// The folder of the application, in which the operators work.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its operators, and the runbook that they have made of what `cutover init` drafts.
    pub(super) async fn operators(&self) -> Bridge {
        let environment = runbook::environment(self).into_iter().collect();
        let bridge = Bridge::in_folder(&self.dir, environment);
        let file = self.application.file();
        let source = file
            .strip_prefix(&self.dir)
            .expect("below")
            .display()
            .to_string();
        let migrated = self.migrated().await;
        let to = ["--app", ".", "--to", migrated, "--out", "draft.yaml"];
        let (code, said) = bridge
            .types(&[&["init", "--source", &source][..], &to].concat())
            .await;
        assert_eq!(code, Some(0), "{said}");
        let draft = std::fs::read_to_string(self.dir.join("draft.yaml")).expect("a draft");
        self.write_runbook(&runbook::filled(&draft, &bridge));
        bridge
    }

    /// A database on which nothing but the library's migrations has run: one for all nights.
    async fn migrated(&self) -> &'static str {
        static MIGRATED: OnceCell<support::TestDatabase> = OnceCell::const_new();
        let made = || async {
            let database = support::database().await;
            let postgres = [("DB", "postgres"), ("DATABASE_URL", database.url.as_str())];
            self.application.manage(&["migrate", "-v0"], &postgres);
            database
        };
        &MIGRATED.get_or_init(made).await.url
    }

    /// The runbook as it stands.
    pub(super) fn runbook(&self) -> String {
        std::fs::read_to_string(self.dir.join("runbook.yaml")).expect("a runbook")
    }

    /// Replaces it.
    pub(super) fn write_runbook(&self, text: &str) {
        std::fs::write(self.dir.join("runbook.yaml"), text).expect("a runbook");
    }

    /// Replaces something in it.
    pub(super) fn change_runbook(&self, from: &str, to: &str) {
        self.write_runbook(&runbook::changed(&self.runbook(), from, to));
    }

    /// Looks at everything that has to stay as it is.
    pub(super) async fn look(&self) -> Canaries {
        Canaries {
            files: canaries::files(&self.dir, &is_ours),
            rows: vec![
                (
                    "the canary database",
                    canaries::rows(&self.canary.superuser_url, &["public", "other"]).await,
                ),
                (
                    "the target's other schemas",
                    canaries::rows(&self.target.superuser_url, &["kept", "kept_too"]).await,
                ),
            ],
            server: canaries::server(&self.canary.superuser_url, &self.begin).await,
        }
    }

    /// Everything is as it was.
    pub(super) async fn assert_untouched(&self, when: &str, before: &Canaries) {
        let now = self.look().await;
        canaries::assert_same(when, &before.files, &now.files);
        for ((where_, before), (_, now)) in before.rows.iter().zip(&now.rows) {
            canaries::assert_same(&format!("{when}, in {where_}"), before, now);
        }
        canaries::assert_same(
            &format!("{when}, on the server"),
            &before.server,
            &now.server,
        );
    }

    /// Runs statements as the owner of a database.
    pub(super) async fn execute(&self, database: &Database, sql: &str) {
        execute(&database.url, sql).await;
    }

    /// Rows of each of the application's tables in a database.
    pub(super) async fn rows_in(&self, database: &Database) -> BTreeMap<String, Vec<String>> {
        canaries::rows(&database.superuser_url, &["public"]).await
    }
}

/// What a cutover may touch: what the runbook names, and the session's own folder. Everything else in the folder is a canary, and a new file
/// anywhere else is one too many.
fn is_ours(path: &Path) -> bool {
    let named = [
        ".cutover",
        "draft.yaml",
        "runbook.yaml",
        "incident.md",
        "instances",
        "state",
        "offsite",
        "data/library.sqlite3",
        "data/library.sqlite3-wal",
        "data/library.sqlite3-shm",
    ];
    let first_backup = path.starts_with("backups") && !path.ends_with("from-last-year.sqlite3");
    // The copy that the rehearsal was told to make, and what SQLite and the backup lay beside it.
    let shown = path.to_string_lossy();
    let copy = ["data/rehearsal.db", "fresh.db"]
        .iter()
        .any(|copy| shown.starts_with(copy));
    named.iter().any(|name| path == Path::new(name))
        || (first_backup && path != Path::new("backups"))
        || copy
}

async fn database(begin: &str, name: &str) -> Database {
    let cluster = support::cluster();
    let (name, owner, runtime) = (
        format!("{begin}{name}"),
        format!("{begin}owner"),
        format!("{begin}runtime"),
    );
    cluster.create_database(&name).await.expect("a database");
    let rights = [
        format!("ALTER DATABASE {name} OWNER TO {owner}"),
        format!("ALTER SCHEMA public OWNER TO {owner}"),
        format!("GRANT USAGE ON SCHEMA public TO {runtime}"),
        format!(
            "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {runtime}"
        ),
        format!(
            "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT USAGE ON SEQUENCES TO {runtime}"
        ),
    ];
    cluster.execute(&name, &rights).await.expect("rights");
    let url = |role: &str| cluster.url_for(role, Some("of-the-library"), &name);
    Database {
        url: url(&owner),
        runtime_url: url(&runtime),
        superuser_url: cluster.superuser_url(&name),
    }
}

async fn execute(url: &str, sql: &str) {
    let client = canaries::connect(url).await;
    client.batch_execute(sql).await.expect("statements");
}

/// Other accounts work in the folder too.
fn open_to_all(dir: &Path) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(dir, mode).expect("a mode");
}
