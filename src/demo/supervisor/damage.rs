//! Makes the faults happen, for real: files are damaged, rows deleted, processes misled, servers stopped.

use std::fs::{File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use tokio_postgres::NoTls;

use super::Running;
use crate::demo::app::AppFaults;
use crate::demo::faults::Fault;
use crate::demo::sample::{self, Script};
use crate::demo::second_writer;
use crate::private_file;

/// How many bytes of a backup change.
const DAMAGED_BYTES: usize = 64;
/// One error in so many requests: 0.71 %.
const LOW_ERROR_EVERY: u64 = 140;
/// One error in so many requests: 3.03 %.
const HIGH_ERROR_EVERY: u64 = 33;
/// How much longer requests take.
const DELAY_MS: u64 = 700;

/// Why a fault could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{what}: {source}")]
    Io {
        what: String,
        source: std::io::Error,
    },
    #[error("{fault}: the target said: {source}")]
    Target {
        fault: Fault,
        source: tokio_postgres::Error,
    },
    #[error("backup-corrupt: neither {} nor {} holds a backup yet", .0.display(), .1.display())]
    NoBackup(PathBuf, PathBuf),
    #[error("{fault}: the target holds no rows to damage yet")]
    NoRows { fault: Fault },
    #[error("order-mismatch: this PostgreSQL knows no collation that ignores letter case")]
    NoCollation,
    #[error(transparent)]
    Database(#[from] super::database::Failure),
}

fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    let what = what.into();
    move |source| Error::Io { what, source }
}

/// Makes it happen; returns once it has.
pub(super) async fn inject(running: &Running, fault: Fault) -> Result<(), Error> {
    match fault {
        Fault::BackupCorrupt => {
            corrupt_backup(&running.layout.offsite(), &running.layout.backups())
        }
        Fault::SecondWriter => start_second_writer(running).await,
        Fault::MigrationFails => write_script(running, Script::Fails),
        Fault::MigrationMissing => write_script(running, Script::LacksLast),
        Fault::RowLoss | Fault::SlugMismatch | Fault::OrderMismatch | Fault::Orphan => {
            damage_target(running, fault).await
        }
        Fault::NotReady => mislead(running, |faults| {
            faults.not_ready = unready(&running.production)
        }),
        Fault::CrashOnStart => mislead(running, |faults| {
            faults.crash_on_start = unready(&running.production)
        }),
        Fault::ErrorsLow => mislead(running, |faults| faults.error_every = Some(LOW_ERROR_EVERY)),
        Fault::ErrorsHigh => mislead(running, |faults| {
            faults.error_every = Some(HIGH_ERROR_EVERY)
        }),
        Fault::Slow => mislead(running, |faults| faults.delay_ms = Some(DELAY_MS)),
        Fault::PoolExhaustion => mislead(running, |faults| faults.hold_pool = true),
        Fault::TargetDown => on_database(running, |database| Ok(database.take_down()?)).await,
    }
}

/// Takes back what can be taken back.
pub(super) async fn heal(running: &Running) -> Result<(), Error> {
    private_file::write(&running.layout.app_faults(), b"{}")
        .map_err(io("writing the faults file"))?;
    if let Some(writer) = running.second_writer.lock().await.take() {
        running.fleet.starter.end(writer).await;
    }
    write_script(running, Script::Good)?;
    on_database(running, |database| database.bring_up().map_err(Error::from)).await
}

async fn on_database(
    running: &Running,
    work: impl FnOnce(&mut super::Database) -> Result<(), Error> + Send + 'static,
) -> Result<(), Error> {
    let database = running.database.clone();
    let done = tokio::task::spawn_blocking(move || {
        work(&mut database.lock().unwrap_or_else(PoisonError::into_inner))
    });
    done.await.expect("BUG: working on PostgreSQL panicked")
}

/// The first instances after the canary, 30 % of all, at least one: more than a fifth, so that T1b must see it.
fn unready(production: &[String]) -> Vec<String> {
    let count = (production.len() * 3).div_ceil(10);
    production
        .iter()
        .cycle()
        .skip(1)
        .take(count)
        .cloned()
        .collect()
}

fn mislead(running: &Running, change: impl FnOnce(&mut AppFaults)) -> Result<(), Error> {
    let path = running.layout.app_faults();
    let mut faults = AppFaults::read(&path);
    change(&mut faults);
    let json = serde_json::to_vec(&faults).expect("BUG: faults are plain data");
    private_file::write(&path, &json).map_err(io("writing the faults file"))
}

fn write_script(running: &Running, script: Script) -> Result<(), Error> {
    let path = running.layout.migrations();
    std::fs::write(&path, sample::migration_script(script))
        .map_err(io(format!("writing {}", path.display())))
}

async fn start_second_writer(running: &Running) -> Result<(), Error> {
    let mut writer = running.second_writer.lock().await;
    if writer.is_none() {
        let file = running.layout.live();
        let arguments = [
            Path::new(second_writer::SUBCOMMAND),
            Path::new("--file"),
            &file,
        ];
        let errors = running.layout.dir.join("logs/second-writer.log");
        *writer = Some(
            running
                .fleet
                .starter
                .start(&arguments, &errors)
                .map_err(io("starting the second writer"))?,
        );
    }
    Ok(())
}

/// Flips bytes in the middle of every stored copy: off-site where there are any, else in the primary place.
fn corrupt_backup(offsite: &Path, primary: &Path) -> Result<(), Error> {
    for place in [offsite, primary] {
        let copies = copies_in(place).map_err(io(format!("looking into {}", place.display())))?;
        if copies.is_empty() {
            continue;
        }
        return copies.iter().try_for_each(|copy| {
            flip_bytes(copy).map_err(io(format!("damaging {}", copy.display())))
        });
    }
    Err(Error::NoBackup(
        offsite.to_path_buf(),
        primary.to_path_buf(),
    ))
}

/// The SQLite files below a folder.
fn copies_in(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(copies_in(&path)?);
        } else if is_sqlite(&path) {
            found.push(path);
        }
    }
    Ok(found)
}

fn is_sqlite(path: &Path) -> bool {
    let mut header = [0; 16];
    File::open(path)
        .and_then(|file| file.read_exact_at(&mut header, 0))
        .is_ok()
        && &header == b"SQLite format 3\0"
}

fn flip_bytes(path: &Path) -> std::io::Result<()> {
    let mode = std::fs::metadata(path)?.permissions().mode();
    std::fs::set_permissions(path, Permissions::from_mode(mode | 0o200))?;
    let file = File::options().read(true).write(true).open(path)?;
    let middle = file.metadata()?.len() / 2;
    let mut bytes = [0; DAMAGED_BYTES];
    file.read_exact_at(&mut bytes, middle)?;
    file.write_all_at(&bytes.map(|byte| !byte), middle)?;
    std::fs::set_permissions(path, Permissions::from_mode(mode))
}

/// What is done to the target, as superuser or as its owner, in one transaction.
async fn damage_target(running: &Running, fault: Fault) -> Result<(), Error> {
    let failed = |source| Error::Target { fault, source };
    let url = running
        .database
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .damage_url();
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.map_err(failed)?;
    tokio::spawn(connection);
    let rows = client
        .query_one(r#"SELECT count(*) FROM "ToolFeatures""#, &[])
        .await
        .map_err(failed)?;
    if rows.get::<_, i64>(0) == 0 {
        return Err(Error::NoRows { fault });
    }
    let sql = match fault {
        Fault::OrderMismatch => order_by_another_collation(&client).await?,
        Fault::SlugMismatch => SLUGS_SWAPPED.to_string(),
        Fault::Orphan => ORPHAN.to_string(),
        _ => ROWS_LOST.to_string(),
    };
    client
        .batch_execute(&format!("SET lock_timeout = '20s'; {sql}"))
        .await
        .map_err(failed)
}

const ROWS_LOST: &str = r#"DELETE FROM "ToolFeatures" WHERE "Id" IN (SELECT "Id" FROM "ToolFeatures" ORDER BY "Id" LIMIT 7)"#;

/// Pairs of neighbours exchange their slugs, one pair in every ten tools; unique they stay.
const SLUGS_SWAPPED: &str = r#"
    UPDATE "ToolContents" SET "Slug" = '~' || "Slug" WHERE "Id" % 10 IN (1, 2);
    UPDATE "ToolContents" a SET "Slug" = substr(b."Slug", 2) FROM "ToolContents" b
        WHERE (a."Id" % 10 = 1 AND b."Id" = a."Id" + 1) OR (a."Id" % 10 = 2 AND b."Id" = a."Id" - 1);
    UPDATE "ToolContents" SET "Slug" = substr("Slug", 2) WHERE "Slug" LIKE '~%'"#;

/// The number of rows stays: only an integrity check can tell.
const ORPHAN: &str = r#"
    ALTER TABLE "ToolFeatures" DROP CONSTRAINT IF EXISTS "FK_ToolFeatures_ToolContents_ToolContentId";
    UPDATE "ToolFeatures" SET "ToolContentId" = 2147483647 WHERE "Id" = (SELECT min("Id") FROM "ToolFeatures")"#;

/// Every value stays as it was; only their order is another.
async fn order_by_another_collation(client: &tokio_postgres::Client) -> Result<String, Error> {
    let failed = |source| Error::Target {
        fault: Fault::OrderMismatch,
        source,
    };
    let known = "SELECT quote_ident(collname) FROM pg_collation \
        WHERE collname IN ('und-x-icu', 'en-x-icu', 'en_US.utf8', 'en_US') AND collencoding IN (-1, 6) \
        ORDER BY collname <> 'und-x-icu' LIMIT 1";
    let rows = client.query(known, &[]).await.map_err(failed)?;
    let collation: String = rows.first().ok_or(Error::NoCollation)?.get(0);
    Ok(format!(
        r#"ALTER TABLE "ToolContents" ALTER COLUMN "Title" TYPE text COLLATE pg_catalog.{collation}"#
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_fifth_of_any_fleet_and_not_the_canary() {
        for size in 2..=12 {
            let fleet: Vec<String> = (1..=size).map(|n| format!("app-{n}")).collect();
            let unready = unready(&fleet);
            assert!(unready.len() * 5 > size, "{size}: {unready:?}");
            assert!(!unready.contains(&fleet[0]));
        }
    }

    #[test]
    fn damages_sqlite_files_and_leaves_their_mode() {
        let folder = tempfile::tempdir().expect("a folder");
        let (copy, other) = (
            folder.path().join("a.db"),
            folder.path().join("a.db.sha256"),
        );
        let mut bytes = b"SQLite format 3\0".to_vec();
        bytes.resize(8192, 7);
        std::fs::write(&copy, &bytes).expect("written");
        std::fs::write(&other, "sum").expect("written");
        std::fs::set_permissions(&copy, Permissions::from_mode(0o400)).expect("read-only");
        corrupt_backup(folder.path(), Path::new("/nowhere")).expect("damaged");
        let damaged = std::fs::read(&copy).expect("read");
        assert_eq!(
            damaged.iter().zip(&bytes).filter(|(a, b)| a != b).count(),
            DAMAGED_BYTES
        );
        assert_eq!(
            std::fs::metadata(&copy)
                .expect("there")
                .permissions()
                .mode()
                & 0o777,
            0o400
        );
        assert_eq!(std::fs::read_to_string(&other).expect("read"), "sum");
    }
}
