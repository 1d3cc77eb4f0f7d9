//! C1, C2, C3: the application's migrations, the proof that they are all there, and their logs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::announce::{try_action, why};
use super::context::Context;
use super::in_use;
use super::target::{failed, is_passing, owner};
use crate::journal::files;
use crate::postgres::migrations::{self, HistoryTable, RequiredSchema};
use crate::postgres::{Error, Finding, in_the_way, script};
use crate::production::Fingerprint;
use crate::regular_file;
use crate::runbook::Migration;
use crate::runbook::action::Placeholders;
use crate::session::facts::{KeptFiles, MigrationsVersion};
use crate::session::{Check, Found, Outcome};
use crate::sqlite::digest;

/// C1: the command or the script, and nothing else; T2a judges `migration_exit`.
pub async fn run(ctx: &Context, run: &Migration, version: &str, timeout_ms: i64) -> Outcome {
    if let Err(in_use) = in_use::is_free(ctx).await {
        return in_use;
    }
    ctx.reporter.line(&format!("migrations: {version}"));
    let scratch = match run {
        Migration::Command(action) => {
            if let Some(why) = ctx.not_rehearsed(action) {
                return Outcome::failed(why);
            }
            match scratch(ctx).await {
                Ok(scratch) => scratch,
                Err(outcome) => return outcome,
            }
        }
        // It is run through a connection of ours, which leads to scratch in a rehearsal.
        Migration::Script(_) => None,
    };
    let (ok, detail) = match run {
        Migration::Command(action) => {
            match try_action(ctx, action, &Placeholders::new(), "migrations").await {
                Ok(done) if done.ok => (true, format!("exit code 0 after {:.1} s", done.seconds)),
                Ok(done) => (false, why(&done)),
                Err(why) => (false, why),
            }
        }
        Migration::Script(path) => match run_script(ctx, &ctx.base.join(path), timeout_ms).await {
            Ok(detail) => (true, detail),
            Err(outcome) => return outcome,
        },
    };
    if let Some(before) = scratch.filter(|_| ok)
        && let Err(outcome) = arrived(ctx, &before).await
    {
        return outcome;
    }
    let summary = if ok {
        format!("{version}: {detail}")
    } else {
        format!(
            "the migrations failed: {detail}. SQLite is untouched; PostgreSQL may hold part of the schema"
        )
    };
    Outcome::done(summary)
        .with_check(Check::new("migration_exit", ok, detail))
        .with_fact(MigrationsVersion(version.to_owned()))
}

/// In a rehearsal: the scratch database before the command, so that what the command did can be looked for there.
async fn scratch(ctx: &Context) -> Result<Option<Fingerprint>, Outcome> {
    if !ctx.environment.rehearsal {
        return Ok(None);
    }
    let target = &ctx.runbook.target;
    let seen = Fingerprint::of_database(&target.url, &target.schema).await;
    seen.map(Some).map_err(|why| {
        Outcome::failed(format!(
            "the scratch database cannot be looked at, so nothing was run: {why}"
        ))
        .passing()
    })
}

/// A command that ends well and leaves nothing on scratch has migrated something else, or nothing.
async fn arrived(ctx: &Context, before: &Fingerprint) -> Result<(), Outcome> {
    let target = &ctx.runbook.target;
    let after = Fingerprint::of_database(&target.url, &target.schema).await;
    let after = after.map_err(|why| {
        Outcome::failed(format!(
            "whether the migrations are on scratch cannot be told: {why}"
        ))
    })?;
    if before.difference(&after).is_some() {
        return Ok(());
    }
    let detail = format!(
        "the command ended with exit code 0, and the schema {} of the scratch database holds no new table and no new migration: it ran \
         elsewhere, or did nothing. Hand it the database by a placeholder: `env: {{ DATABASE_URL: \"{{target_url}}\" }}`, with the variable \
         that it reads",
        target.schema
    );
    Err(Outcome::failed(detail.clone()).with_check(Check::new(
        "migrations_on_scratch",
        false,
        detail,
    )))
}

async fn run_script(ctx: &Context, path: &Path, timeout_ms: i64) -> Result<String, Outcome> {
    let endpoint = owner(ctx)?;
    let sql = regular_file::read_to_string(path).map_err(|e| {
        let why = format!("{}: {e}", path.display());
        Outcome::failed(why.clone()).with_check(Check::new("migration_exit", false, why))
    })?;
    let log_path = files::OUTPUT
        .path(&ctx.folder)
        .join(format!("C1-{}-script.log", ctx.reporter.attempt));
    let mut log = Vec::new();
    let reporter = ctx.reporter.clone();
    let mut on_line = |line: String| {
        reporter.line(&line);
        log.push(line);
    };
    let limit = Duration::from_millis(timeout_ms.max(0) as u64);
    let ran = script::run_script(
        &endpoint,
        &ctx.runbook.target.schema,
        &sql,
        limit,
        &mut on_line,
        &ctx.cancel,
    )
    .await;
    if let Err(error) = &ran {
        log.push(error.to_string());
    }
    keep_log(ctx, &log_path, &log);
    match ran {
        Ok(done) => Ok(format!(
            "{} statements of {} in {} ms",
            done.statements,
            path.display(),
            done.duration_ms
        )),
        // Nobody can have run half a script through a connection that never was: that may pass by itself.
        Err(error) if is_passing(&error) && !matches!(error, Error::Lost { .. }) => {
            Err(failed(error))
        }
        Err(error) => {
            let why = error.to_string();
            Err(Outcome::failed(format!(
                "the migrations failed: {why}. SQLite is untouched; PostgreSQL may hold part of the schema"
            ))
            .with_check(Check::new("migration_exit", false, why)))
        }
    }
}

fn keep_log(ctx: &Context, path: &Path, lines: &[String]) {
    let written = files::folder(&ctx.folder, &files::OUTPUT)
        .and_then(|_| crate::ours::file::replace(path, (lines.join("\n") + "\n").as_bytes()));
    match written {
        Ok(()) => ctx.reporter.artefact("migrations", path.to_owned()),
        Err(e) => ctx.reporter.line(&format!(
            "the log could not be kept: {}: {e}",
            path.display()
        )),
    }
}

/// What C1 had done when the engine died: the history table knows.
pub async fn find_out(ctx: &Context, run: &Migration) -> Found {
    let history = match look(ctx).await {
        Ok(outcome) => outcome,
        Err(why) => {
            return Found::AskPerson {
                detail: format!("PostgreSQL cannot be asked: {why}"),
            };
        }
    };
    match (history.ok, run) {
        (true, _) => Found::Done {
            outcome: Outcome::done("every expected migration is recorded").with_check(Check::new(
                "migration_exit",
                true,
                "found complete after the engine died",
            )),
        },
        (false, Migration::Script(_)) => Found::RunAgain {
            detail: "the script is idempotent and not all of it is recorded".into(),
        },
        (false, Migration::Command(_)) => Found::AskPerson {
            detail: format!(
                "not every migration is recorded ({}); see whether the command still runs elsewhere before it runs again",
                history.summary
            ),
        },
    }
}

/// C2: every expected migration is in the history table, and the required schema exists; T2b and T2c judge it.
pub async fn history(ctx: &Context) -> Outcome {
    match look(ctx).await {
        Ok(outcome) => outcome,
        Err(why) => Outcome::failed(format!("PostgreSQL cannot be asked: {why}")).passing(),
    }
}

/// What is recorded and what is there, looked at anew.
pub(super) async fn look(ctx: &Context) -> Result<Outcome, String> {
    let target = &ctx.runbook.target;
    let table = HistoryTable {
        schema: target.schema.clone(),
        table: target.history.table.clone(),
        column: target.history.column.clone(),
        within: target.history.within.clone(),
    };
    let wanted = RequiredSchema {
        tables: target.required.tables.clone(),
        columns: target
            .required
            .columns
            .iter()
            .filter_map(|c| c.split_once('.'))
            .map(|(t, c)| (t.to_owned(), c.to_owned()))
            .collect(),
        indexes: target.required.indexes.clone(),
    };
    let ask = async {
        let client = owner(ctx)
            .map_err(|o| o.summary)?
            .connect()
            .await
            .map_err(|e| e.to_string())?;
        let found = migrations::history(&client, &table, &target.history.expected)
            .await
            .map_err(|e| e.to_string())?;
        let schema = migrations::required(&client, &target.schema, &wanted)
            .await
            .map_err(|e| e.to_string())?;
        Ok::<_, String>((found, schema))
    };
    let (found, schema) = ask.await?;
    let check = |name: &str, findings: &[Finding], good: String| {
        let bad = in_the_way(findings);
        Check::new(name, bad.is_none(), bad.unwrap_or(good))
    };
    let recorded = check(
        "migration_history",
        &found,
        format!("{} migrations recorded", target.history.expected.len()),
    );
    let complete = check(
        "schema",
        &schema,
        format!("{} required objects exist", schema.len()),
    );
    let summary = format!("{}; {}", recorded.detail, complete.detail);
    Ok(Outcome::done(summary)
        .with_check(recorded)
        .with_check(complete))
}

/// C3: the outputs of other steps are in the session's folder, with hashes.
pub async fn keep(ctx: &Context, of: &[String]) -> Outcome {
    let folder = files::OUTPUT.path(&ctx.folder);
    let files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .map(|entries| entries.filter_map(Result::ok).map(|e| e.path()).collect())
        .unwrap_or_default();
    let belongs = |path: &PathBuf| {
        let name = path
            .file_name()
            .map(|n| n.to_string_lossy().into_owned())
            .unwrap_or_default();
        of.iter().any(|step| name.starts_with(&format!("{step}-")))
    };
    let mut kept: Vec<(String, String)> = Vec::new();
    for path in files.into_iter().filter(belongs) {
        match digest::of_file(&path, &ctx.cancel) {
            Ok(sha256) => {
                let name = path
                    .file_name()
                    .map(|n| n.to_string_lossy().into_owned())
                    .unwrap_or_default();
                ctx.reporter.line(&format!("{sha256}  {name}"));
                kept.push((name, sha256));
            }
            Err(error) => return Outcome::failed(error.to_string()),
        }
    }
    if kept.is_empty() {
        return Outcome::failed(format!(
            "{} left no output behind in {}",
            of.join(", "),
            folder.display()
        ));
    }
    Outcome::done(match kept.len() {
        1 => "1 file kept, with its hash".to_owned(),
        n => format!("{n} files kept, with hashes"),
    })
    .with_fact(KeptFiles(kept))
}
