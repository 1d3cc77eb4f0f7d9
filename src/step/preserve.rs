//! R5: what a review needs later, kept in `preserved/` of the session's folder and hashed: PostgreSQL's settings and statistics, the
//! ends of its logs, a dump where the runbook asks for one. The application serves from SQLite again by now; still PostgreSQL is given
//! only seconds to answer, and what it does not say is said to be missing.
//!
//! What the steps printed and what parity found is in the session's folder already; its hashes go into the same list.

use std::fmt::Write as _;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::announce::run_action;
use super::context::Context;
use crate::journal::files;
use crate::ours::file;
use crate::regular_file;
use crate::runbook::Action;
use crate::runbook::action::Placeholders;
use crate::session::Outcome;
use crate::sqlite::digest;

/// How long PostgreSQL may take to leave its numbers behind; it is not waited for any longer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// How long the file system of a log is waited for.
const LOG_LIMIT: Duration = Duration::from_secs(10);
/// How much of a log's end is kept.
const LOG_BYTES: u64 = 4 << 20;
/// The list of hashes, as `sha256sum --check` reads it.
const HASHES: &str = "SHA256SUMS";

/// Keeps what can be kept. What could not be is named; only a folder that cannot be written fails the row.
pub async fn preserve(ctx: &Context, logs: &[PathBuf], dump: Option<&Action>) -> Outcome {
    let folder = match files::folder(&ctx.folder, &files::PRESERVED) {
        Ok(folder) => folder,
        Err(error) => return Outcome::failed(error.to_string()),
    };
    let (mut kept, mut missing) = (Vec::new(), Vec::new());
    let asked = tokio::time::timeout(ANSWER_LIMIT, ask(ctx)).await;
    let answers = asked.unwrap_or_else(|_| Err("PostgreSQL did not answer in 5 s".to_owned()));
    let is_there = answers.is_ok();
    match answers.and_then(|text| {
        let path = folder.join("postgresql.txt");
        file::replace(&path, text.as_bytes()).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(path)
    }) {
        Ok(path) => {
            ctx.reporter.artefact("postgresql", path);
            kept.push("PostgreSQL's settings and statistics".to_owned());
        }
        Err(why) => missing.push(format!("settings and statistics: {why}")),
    }
    for (n, log) in logs.iter().enumerate() {
        let (from, to) = (ctx.base.join(log), folder.clone());
        let keeping = tokio::task::spawn_blocking(move || keep_end(&from, &to, n + 1));
        let kept_end = match tokio::time::timeout(LOG_LIMIT, keeping).await {
            Ok(end) => end.expect("BUG: copying does not panic"),
            Err(_) => Err(format!(
                "{}: its file system has not answered for {} s",
                log.display(),
                LOG_LIMIT.as_secs()
            )),
        };
        match kept_end {
            Ok(path) => {
                ctx.reporter.artefact("server log", path);
                kept.push(format!("the end of {}", log.display()));
            }
            Err(why) => missing.push(why),
        }
    }
    match dump {
        Some(dump) if is_there => match run_dump(ctx, dump, &folder).await {
            Ok(words) => kept.push(words),
            Err(why) => missing.push(format!("dump: {why}")),
        },
        Some(_) => missing.push("dump: PostgreSQL does not answer, so none was tried".to_owned()),
        None => {}
    }
    let session = ctx.folder.dir().to_owned();
    let listed = tokio::task::spawn_blocking(move || list_hashes(&session)).await;
    match listed.expect("BUG: hashing does not panic") {
        Ok(files) => kept.push(format!("hashes of {files} files in preserved/{HASHES}")),
        Err(why) => return Outcome::failed(why),
    }
    missing
        .iter()
        .for_each(|why| ctx.reporter.line(&format!("not kept: {why}")));
    let mut summary = format!("kept: {}", kept.join("; "));
    if !missing.is_empty() {
        let _ = write!(summary, ". Not kept: {}", missing.join("; "));
    }
    Outcome::done(summary)
}

/// Settings and statistics as text, without the texts of queries, which hold people's data. A view that this role may not read says so in its place.
async fn ask(ctx: &Context) -> Result<String, String> {
    const QUERIES: [(&str, &str); 8] = [
        ("version", "SELECT version()"),
        (
            "settings",
            "SELECT name || ' = ' || setting FROM pg_settings WHERE source NOT IN ('default', 'override') ORDER BY 1",
        ),
        (
            "pg_stat_database",
            "SELECT row_to_json(d)::text FROM pg_stat_database d WHERE datname = current_database()",
        ),
        (
            "pg_stat_user_tables",
            "SELECT row_to_json(t)::text FROM pg_stat_user_tables t ORDER BY schemaname, relname",
        ),
        (
            "pg_stat_user_indexes",
            "SELECT row_to_json(i)::text FROM pg_stat_user_indexes i ORDER BY schemaname, relname, indexrelname",
        ),
        (
            "pg_stat_activity",
            "SELECT (to_jsonb(a) - 'query')::text FROM pg_stat_activity a WHERE datname = current_database() ORDER BY pid",
        ),
        (
            "pg_locks",
            "SELECT row_to_json(l)::text FROM pg_locks l WHERE NOT granted ORDER BY pid",
        ),
        (
            "pg_stat_bgwriter",
            "SELECT row_to_json(b)::text FROM pg_stat_bgwriter b",
        ),
    ];
    let endpoint = super::target::owner(ctx).map_err(|outcome| outcome.summary)?;
    let client = endpoint.connect().await.map_err(|e| e.to_string())?;
    let mut text = String::new();
    for (name, sql) in QUERIES {
        let _ = writeln!(text, "-- {name}");
        text.push_str(&answer(&client, sql).await?);
    }
    Ok(text)
}

async fn answer(client: &Client, sql: &str) -> Result<String, String> {
    match client.query(sql, &[]).await {
        Ok(rows) => Ok(rows.iter().fold(String::new(), |text, row| {
            text + row.get::<_, &str>(0) + "\n"
        })),
        Err(error) if error.as_db_error().is_some() => Ok(format!("not told: {error}\n")),
        Err(error) => Err(error.to_string()),
    }
}

/// The end of a log, from the beginning of a line.
fn keep_end(log: &Path, folder: &Path, number: usize) -> Result<PathBuf, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", log.display());
    let mut from_log = regular_file::open(log).map_err(failed)?;
    let size = from_log.metadata().map_err(failed)?.len();
    let from = size.saturating_sub(LOG_BYTES);
    from_log.seek(SeekFrom::Start(from)).map_err(failed)?;
    let mut bytes = Vec::new();
    from_log
        .take(LOG_BYTES)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let cut = if from == 0 {
        0
    } else {
        memchr::memchr(b'\n', &bytes).map_or(0, |at| at + 1)
    };
    let name = log.file_name().unwrap_or(log.as_os_str());
    let path = folder.join(format!("log-{number}-{}", name.to_string_lossy()));
    file::replace(&path, &bytes[cut..]).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(path)
}

/// The operator's own dump, into `{file}`.
async fn run_dump(ctx: &Context, dump: &Action, folder: &Path) -> Result<String, String> {
    let path = folder.join("dump");
    let values = Placeholders::new().with("file", path.display().to_string());
    let done = run_action(ctx, dump, &values, "dump").await?;
    let size = path
        .metadata()
        .map_err(|e| format!("it ended well, but {} is not there: {e}", path.display()))?
        .len();
    Ok(format!(
        "a dump of {:.1} MB after {:.1} s",
        size as f64 / 1e6,
        done.seconds
    ))
}

/// Hashes everything in `preserved/` and `output/`, in the form of `sha256sum`; how many files that were.
fn list_hashes(session: &Path) -> Result<usize, String> {
    let mut names = Vec::new();
    for folder in ["preserved", "output"] {
        // A session that ended early may have no output.
        for entry in std::fs::read_dir(session.join(folder))
            .into_iter()
            .flatten()
        {
            let path = entry.map_err(|e| format!("{folder}: {e}"))?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let is_file = path.symlink_metadata().is_ok_and(|m| m.is_file());
            if is_file && name != HASHES {
                names.push(format!("{folder}/{name}"));
            }
        }
    }
    names.sort();
    let mut list = String::new();
    for name in &names {
        // A dump may be another user's and unreadable to us; `sha256sum` passes over the line.
        let _ = match digest::of_file(&session.join(name), &CancellationToken::new()) {
            Ok(hash) => writeln!(list, "{hash}  {name}"),
            Err(error) => writeln!(list, "# {name} could not be read: {error}"),
        };
    }
    let path = session.join("preserved").join(HASHES);
    file::replace(&path, list.as_bytes()).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(names.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_is_cut_at_the_beginning_of_a_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("postgresql.log");
        let line = "a line of the server's log that is told again and again\n";
        let lines = LOG_BYTES as usize / line.len() + 100;
        std::fs::write(&log, line.repeat(lines)).expect("a log");
        let kept = keep_end(&log, &folder.path().join("."), 1).expect("kept");
        let text = std::fs::read_to_string(kept).expect("text");
        assert!(text.len() as u64 <= LOG_BYTES && text.len() > LOG_BYTES as usize / 2);
        assert!(text.starts_with("a line") && text.ends_with('\n'));
        assert!(keep_end(&folder.path().join("none"), folder.path(), 1).is_err());
    }

    #[test]
    fn every_file_is_listed_with_its_hash() {
        let session = tempfile::tempdir().expect("a folder");
        for name in ["preserved/a", "output/C1-1-migrate.log"] {
            let path = session.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            std::fs::write(path, "abc").expect("written");
        }
        assert_eq!(list_hashes(session.path()), Ok(2));
        assert_eq!(
            list_hashes(session.path()),
            Ok(2),
            "the list is not in the list"
        );
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let list = std::fs::read_to_string(session.path().join("preserved/SHA256SUMS"));
        assert_eq!(
            list.expect("the list"),
            format!("{abc}  output/C1-1-migrate.log\n{abc}  preserved/a\n")
        );
    }
}
