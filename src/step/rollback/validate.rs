//! R4: does the application serve from SQLite again? Every instance is asked, by which database it serves and its configuration looked
//! at, whether or not this session has changed it, and the file with its rows. What nobody can see is not green.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::configuration::by_hand;
use crate::fleet::provider::{Provider, Serving};
use crate::fleet::{self, AskError};
use crate::postgres::{Endpoint, Error};
use crate::runbook::action::HeadersCommand;
use crate::session::facts::{Backup, Brought, Counts, TableCount};
use crate::session::{Check, Outcome};
use crate::sqlite::{open_read_only, open_read_write};
use crate::step::context::Context;
use crate::step::salvage::was_not_fenced;
use crate::step::{configuration, newcomers, production, serving};
use crate::text::printable;

/// Checks of this name, followed by an instance's id, say whether it was seen on SQLite.
pub(super) const SERVES: &str = "serves_";
/// How long an instance may take to say by which database it serves.
const SERVING_LIMIT: Duration = Duration::from_secs(3);
/// How long it may take to find out which instances came since the opening.
const NEWCOMERS_LIMIT: Duration = Duration::from_secs(10);

/// How long PostgreSQL may take to say who is still connected to it, from the beginning of this row on: writes stay closed until that has ended.
const CONNECTIONS_LIMIT: Duration = Duration::from_secs(1);

/// R4: every instance answers its readiness and the core reads, and SQLite has the rows that it had.
pub async fn validate(ctx: &Context) -> Outcome {
    let mut outcome = Outcome::done("");
    let begun = Instant::now();
    // Asked while the instances are.
    let still_there = tokio::spawn(connections(ctx.clone()));
    for check in healthy(ctx).await {
        outcome = outcome.with_check(check);
    }
    for (place, why) in configuration::not_at_from(ctx) {
        let name = format!("configuration_{}", place.whose());
        let why = by_hand(ctx, &place, &why);
        outcome = outcome.with_check(Check::new(&name, false, why));
    }
    let serving = serving::look_twice(ctx, &ctx.runbook.fleet.instances, SERVING_LIMIT).await;
    for one in &serving {
        let is_back = one.provider == Some(Provider::Sqlite);
        let name = format!("{SERVES}{}", one.instance);
        outcome = outcome.with_check(Check::new(&name, is_back, one.words()));
    }
    let unseen = match came(ctx).await {
        Ok(checks) => {
            for check in checks {
                outcome = outcome.with_check(check);
            }
            None
        }
        Err(why) => Some(why),
    };
    if let Err(why) = production::same_source(ctx) {
        outcome = outcome.with_check(Check::new("source_identity", false, why));
    }
    outcome = match source(ctx).await {
        Ok(detail) => outcome.with_check(Check::new("source_rows", true, detail)),
        Err(why) => outcome.with_check(Check::new("source_rows", false, why)),
    };
    let notes = [unseen, left_there(ctx, still_there, begun).await];
    outcome.summary = summary(ctx, &outcome.checks);
    for note in notes.iter().flatten() {
        outcome.summary.push_str("; ");
        outcome.summary.push_str(note);
    }
    outcome
}

/// What each instance answers to its readiness and to the core reads.
async fn healthy(ctx: &Context) -> Vec<Check> {
    let mut checks = Vec::new();
    let client = &ctx.shared.http;
    let tokens = ctx.shared.monitor.tokens();
    // Writes stay closed until this row has ended: a command that prints no headers is waited for once, and not for each request.
    let mut without_headers: Vec<(&HeadersCommand, String)> = Vec::new();
    for instance in &ctx.runbook.fleet.instances {
        let mut bad = Vec::new();
        if let Err(e) =
            fleet::ready_once(client, &ctx.runbook.fleet, instance, Duration::from_secs(5)).await
        {
            bad.push(e.to_string());
        }
        for request in &ctx.runbook.verification.requests {
            let limit = Duration::from_secs(10);
            let command = request.headers_command.as_deref();
            let failed = without_headers.iter().find(|(of, _)| Some(*of) == command);
            if let Some((_, why)) = failed {
                bad.push(format!("{}: {why}", request.name));
                continue;
            }
            let asked = tokens.ask(client, request, &instance.url, limit);
            let judged = match asked.await {
                Ok(answer) => {
                    fleet::request::judge(request, &answer, None).map_err(|e| e.to_string())
                }
                Err(error) => {
                    if let (AskError::NoHeaders { why }, Some(command)) = (&error, command) {
                        without_headers.push((command, why.clone()));
                    }
                    Err(error.to_string())
                }
            };
            bad.extend(judged.err().map(|why| format!("{}: {why}", request.name)));
        }
        let detail = bad.first().cloned().unwrap_or_else(|| "healthy".into());
        let name = format!("healthy_{}", instance.id);
        checks.push(Check::new(&name, bad.is_empty(), detail));
    }
    checks
}

/// Where the instances serve from that came since the opening.
async fn came(ctx: &Context) -> Result<Vec<Check>, String> {
    let came = tokio::time::timeout(NEWCOMERS_LIMIT, newcomers::look(ctx)).await;
    let late = || {
        Err("which instances there are was not known within the time that this row has".to_owned())
    };
    let check = |one: &Serving| {
        let is_back = one.provider == Some(Provider::Sqlite);
        let name = format!("{SERVES}{}", one.instance);
        let why = match is_back {
            true => one.words(),
            false => format!(
                "{}; it came since the session was opened, so that this rollback does not restart it: put it back or stop it by hand",
                one.words()
            ),
        };
        Check::new(&name, is_back, why)
    };
    let came = came.unwrap_or_else(|_| late())?;
    Ok(came.iter().map(check).collect())
}

fn summary(ctx: &Context, checks: &[Check]) -> String {
    let bad: Vec<_> = checks
        .iter()
        .filter(|c| !c.ok)
        .map(|c| format!("{}: {}", c.name, c.detail))
        .collect();
    match bad.first() {
        None => {
            let rows = checks.last().map_or("", |c| c.detail.as_str());
            format!(
                "{} instances healthy and on SQLite; {rows}",
                ctx.runbook.fleet.instances.len()
            )
        }
        Some(first) => format!("{} checks failed; {first}", bad.len()),
    }
}

/// What is to be said of connections that are left, once the answer is there or its time is over. One that R1+ has waited for in vain is not
/// waited for again. Where this session has taken nobody to PostgreSQL, that nothing is known is no news.
async fn left_there(
    ctx: &Context,
    mut asking: JoinHandle<Result<Option<String>, String>>,
    begun: Instant,
) -> Option<String> {
    let limit = match was_not_fenced(&ctx.session) {
        Some(_) => Duration::ZERO,
        None => CONNECTIONS_LIMIT.saturating_sub(begun.elapsed()),
    };
    let why = match tokio::time::timeout(limit, &mut asking).await {
        Ok(asked) => match asked.expect("BUG: asking who is connected does not panic") {
            Ok(note) => return note,
            Err(why) => printable(&why, 300),
        },
        Err(_) => {
            asking.abort();
            let seconds = begun.elapsed().as_secs_f64();
            format!("it has not answered within {seconds:.1} s")
        }
    };
    let has_switched = ctx.session.switched_ms().is_some();
    has_switched.then(|| format!("who is still connected to PostgreSQL is not known: {why}"))
}

/// Connections that the application's role still has on PostgreSQL, in words: an instance that did not leave, or a pool in between.
async fn connections(ctx: Context) -> Result<Option<String>, String> {
    const QUERY: &str = "SELECT application_name, count(*) FROM pg_catalog.pg_stat_activity
        WHERE usename = $1 AND datname = current_database() AND pid <> pg_backend_pid() AND application_name NOT LIKE 'cutover%'
        GROUP BY 1 ORDER BY 1 LIMIT 20";
    let endpoint = |url: &str| Endpoint::parse(url).map_err(|error| error.to_string());
    let runtime = endpoint(&ctx.runbook.target.runtime_url)?;
    let owner = endpoint(&ctx.runbook.target.url)?;
    let client = owner.connect().await.map_err(|error| error.to_string())?;
    let rows = client.query(QUERY, &[&runtime.user()]).await;
    let rows =
        rows.map_err(|error| Error::of_statement("look who is connected", &error).to_string())?;
    // The staging slot stays where it is.
    let staging = ctx.runbook.fleet.staging.as_ref().map(|slot| &slot.id);
    let shown = rows.iter().filter_map(|row| {
        let (name, count): (String, i64) = (row.get(0), row.get(1));
        (Some(&name) != staging).then(|| format!("{count} from {}", printable(&name, 40)))
    });
    let shown: Vec<_> = shown.collect();
    Ok((!shown.is_empty()).then(|| {
        format!(
            "PostgreSQL still has connections of the application ({}): where that is no pool, an instance has not left it. Restart it \
             by hand",
            shown.join(", ")
        )
    }))
}

/// The application's file: there, writable, and with the rows of the backup and those that the rollback has brought back. Before the freeze there is no backup to compare with.
async fn source(ctx: &Context) -> Result<String, String> {
    let before = ctx.fact().map_err(|unreadable| unreadable.to_string())?;
    let before = before.map(|Counts(tables)| tables);
    let brought = ctx.session.rollback_fact::<Brought>();
    let brought = brought.map_err(|unreadable| unreadable.to_string())?;
    let brought = brought.unwrap_or_default();
    let path = ctx.runbook.source.file.clone();
    let looked =
        tokio::task::spawn_blocking(move || look_at(&path, before.as_deref(), &brought)).await;
    looked
        .expect("BUG: looking at the file does not panic")
        .map_err(|why| match ctx.fact() {
            Ok(Some(Backup(kept))) => {
                format!("{why}. The verified backup is {}", kept.path.display())
            }
            Ok(None) => why,
            Err(unreadable) => format!("{why}. {unreadable}"),
        })
}

fn look_at(
    path: &Path,
    before: Option<&[TableCount]>,
    brought: &Brought,
) -> Result<String, String> {
    let connection = open_read_only(path).map_err(|e| e.to_string())?;
    is_writable(path)?;
    let Some(before) = before else {
        return Ok("no backup had been made; SQLite was not touched".into());
    };
    let mut rows = 0_u64;
    for TableCount {
        table,
        rows: in_backup,
    } in before
    {
        let expected = brought.expected(table, *in_backup);
        let sql = format!("SELECT count(*) FROM {}", crate::postgres::quoted(table));
        let now: i64 = connection
            .query_row(&sql, [], |r| r.get(0))
            .map_err(|e| format!("{table}: {e}"))?;
        // More is the application at work again; fewer is loss.
        if now.cast_unsigned() < expected {
            let with = match expected == *in_backup {
                true => String::new(),
                false => format!(", and with what was brought back it should have {expected}"),
            };
            return Err(format!(
                "{table} has {now} rows on SQLite, the backup has {in_backup}{with}"
            ));
        }
        rows += now.cast_unsigned();
    }
    Ok(format!("SQLite has its {rows} rows"))
}

/// Takes the write lock and lets go of it again. That somebody else has it says as much.
fn is_writable(path: &Path) -> Result<(), String> {
    let mode = path.metadata().map_err(|e| e.to_string())?.permissions();
    if mode.readonly() {
        return Err(format!(
            "{} is read-only: the application cannot write. Give its owner the right to (`chmod u+w`)",
            path.display()
        ));
    }
    let connection = open_read_write(path).map_err(|e| e.to_string())?;
    match connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK") {
        Err(error) if error.sqlite_error_code() != Some(rusqlite::ErrorCode::DatabaseBusy) => {
            Err(format!(
                "{} cannot be written: {error}. Make it and its folder writable for the application",
                path.display()
            ))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::facts::BroughtTable;
    use std::os::unix::fs::PermissionsExt;

    fn counts(rows: u64) -> Vec<TableCount> {
        vec![TableCount {
            table: "t".to_owned(),
            rows,
        }]
    }

    #[test]
    fn a_file_that_the_application_cannot_use_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("app.db");
        let connection = rusqlite::Connection::open(&path).expect("a file");
        connection
            .execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)")
            .expect("rows");
        let none = Brought::default();
        let look = |rows| look_at(&path, Some(&counts(rows)), &none);
        assert_eq!(look(2), Ok("SQLite has its 2 rows".to_owned()));
        assert!(look(3).expect_err("fewer").contains("the backup has 3"));
        assert!(look_at(&path, None, &none).is_ok());
        // Rows that the rollback has deleted, as users had, are no loss; one more is.
        let brought = |inserted, deleted| Brought {
            tables: vec![BroughtTable {
                table: "t".to_owned(),
                inserted,
                deleted,
                ..BroughtTable::default()
            }],
            ..Brought::default()
        };
        let with =
            |inserted, deleted| look_at(&path, Some(&counts(3)), &brought(inserted, deleted));
        assert!(with(0, 1).is_ok());
        assert!(with(2, 3).is_ok());
        let lost = with(1, 1).expect_err("one is lost");
        assert!(lost.contains("the backup has 3"), "{lost}");
        let lost = with(2, 1).expect_err("two are lost");
        assert!(lost.contains("it should have 4"), "{lost}");
        // What was deleted, and is inserted again in a later attempt, is in the backup too.
        let again = Brought {
            is_told_against: true,
            ..brought(1, 1)
        };
        assert!(look_at(&path, Some(&counts(3)), &again).is_ok());
        assert!(look_at(&path, Some(&counts(4)), &again).is_err());
        // Somebody who writes shows that it can be written.
        connection
            .execute_batch("BEGIN IMMEDIATE")
            .expect("a writer");
        assert!(look(2).is_ok());
        connection.execute_batch("COMMIT").expect("an end");
        let mode = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
        };
        mode(0o444);
        assert!(look(2).expect_err("read-only").contains("chmod u+w"));
        mode(0o644);
        let aside = folder.path().join("moved.db");
        std::fs::rename(&path, &aside).expect("moved");
        let gone = look(2).expect_err("gone");
        assert!(
            gone.contains("app.db") && gone.contains("no file"),
            "{gone}"
        );
        assert!(!path.exists(), "nothing was created in its place");
    }
}
