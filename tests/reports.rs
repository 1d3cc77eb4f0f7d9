//! Small cases after public reports of moves from SQLite to PostgreSQL, a folder each, played from `plan` to the application's next insert.
//!
//! A folder under `tests/reports/` holds:
//! - `source.sql` makes the SQLite file, `target.sql` the schema as the application's own migrations make it; `transfer.yaml` is what a user
//!   starts with, `arguments` are further arguments of every command;
//! - `want`: `across` (green from end to end) or `refuse` (`plan` names the problems and suggests nothing more);
//! - `says`: patterns, one per line; each has to occur in what was printed. `says.not`: none may. `suggests` and `suggests.not`: the same of
//!   what `plan` suggested until it had no problem any more; `pasted` and `pasted.not`: of the section as it was pasted in the end;
//! - `mended.sql` and `mended.want`: what the source holds once the statements have run that `plan` prints for it;
//! - the rows that `copy` puts aside are those that the green plan names, in each case;
//! - `values.sql` and `values.want`: what the target holds afterwards, by the server's own text;
//! - `after.sql` and `after.want`: what the application does next, and what it gets; it may fail where `mention` (a pattern) was printed;
//! - `damage.sql` and `damage.says`: what somebody does to the target after the import; `verify` has to be red then and say so.

pub mod chain;
mod mend;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cutover::postgres::Endpoint;
use regex::RegexBuilder;
use serde_json::Value;
use tokio_postgres::SimpleQueryMessage;

use crate::support::{TestDatabase, database};
use chain::{Chain, Ended};

/// Tests among which the cases are divided, so that they are played beside each other.
const PARTS: usize = 4;

/// All of them, or those whose name contains what `CUTOVER_CASES` says.
fn folders() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports");
    let only = std::env::var("CUTOVER_CASES").unwrap_or_default();
    let entries = std::fs::read_dir(all).expect("the cases");
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a case").path())
        .filter(|path| path.is_dir() && path.to_string_lossy().contains(&only))
        .filter(|path| fits_the_server(path))
        .collect();
    folders.sort();
    folders
}

/// A case may say in `oldest` and `newest` which PostgreSQL knows what it is made of. What is left out on another one is said.
fn fits_the_server(folder: &Path) -> bool {
    let major = |file: &str, unless: u32| {
        let text = std::fs::read_to_string(folder.join(file));
        text.map_or(unless, |text| text.trim().parse().expect("a major version"))
    };
    let (oldest, newest) = (major("oldest", 0), major("newest", u32::MAX));
    let fits = (oldest..=newest).contains(&server_major());
    if !fits {
        println!("{} is for other versions of PostgreSQL", name(folder));
    }
    fits
}

/// The major version of the servers that tests start.
pub fn server_major() -> u32 {
    let programs = cutover::demo::programs::find();
    programs.expect("PostgreSQL's server programs").major
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_holds_from_the_plan_to_the_next_insert_1_of_4() {
    every_case_of_part_holds(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_holds_from_the_plan_to_the_next_insert_2_of_4() {
    every_case_of_part_holds(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_holds_from_the_plan_to_the_next_insert_3_of_4() {
    every_case_of_part_holds(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_holds_from_the_plan_to_the_next_insert_4_of_4() {
    every_case_of_part_holds(3).await;
}

async fn every_case_of_part_holds(part: usize) {
    let all = folders();
    assert!(!all.is_empty(), "there is no such case");
    let mut fell_short = Vec::new();
    let mut played = 0;
    for folder in all.into_iter().skip(part).step_by(PARTS) {
        // A task of its own: a chain blocks for as long as its commands take.
        let of_case = folder.clone();
        let held = tokio::spawn(async move { play(&of_case).await }).await;
        if let Err(why) = held.expect("a case that does not panic") {
            fell_short.push(format!("{}: {why}", name(&folder)));
        }
        played += 1;
    }
    assert!(
        fell_short.is_empty(),
        "{} of {played} cases fall short:\n{}",
        fell_short.len(),
        fell_short.join("\n")
    );
}

fn name(folder: &Path) -> String {
    let last = folder.file_name().unwrap_or_default();
    last.to_string_lossy().into_owned()
}

/// A file of the case, if it has one.
fn read(folder: &Path, name: &str) -> Option<String> {
    std::fs::read_to_string(folder.join(name)).ok()
}

async fn play(case: &Path) -> Result<(), String> {
    let scratch = tempfile::tempdir().expect("a folder");
    let file = scratch.path().join("source.db");
    let source = read(case, "source.sql").ok_or("no source.sql")?;
    make_source(&file, &source)?;
    let target = database().await;
    make_target(&target, &read(case, "target.sql").ok_or("no target.sql")?).await?;

    let more = read(case, "arguments").unwrap_or_default();
    let chain = |section: String| Chain {
        file: &file,
        url: &target.url,
        section,
        folder: scratch.path(),
        more: more.split_whitespace().map(str::to_owned).collect(),
    };
    let start = read(case, "transfer.yaml").unwrap_or_default();
    let outcome = tokio::task::block_in_place(|| chain(start).run());
    let want = read(case, "want").ok_or("no want")?;
    match (&outcome.ended, want.trim()) {
        (Ended::Across, "across") | (Ended::Refused, "refuse") => {}
        (Ended::Broken(why), _) => return Err(why.clone()),
        (ended, want) => {
            let problems = outcome.problems.concat();
            return Err(format!("wanted {want}, is {ended:?}: {problems}"));
        }
    }
    patterns(case, "says", &outcome.said)?;
    patterns(case, "suggests", &outcome.suggested)?;
    patterns(case, "pasted", &outcome.section)?;
    mend::hold(&source, &outcome.said)?;
    if let Some(query) = read(case, "mended.sql") {
        let held = mend::mended(&source, &outcome.said, &query)?;
        let right = read(case, "mended.want").ok_or("no mended.want")?;
        if held.trim() != right.trim() {
            return Err(format!("the mended source holds\n{held}\nand not\n{right}"));
        }
    }
    if outcome.ended == Ended::Refused {
        return Ok(());
    }
    was_foretold(&target.superuser_url, &outcome.aside).await?;
    if let Some(sql) = read(case, "values.sql") {
        let held = ask(&target.superuser_url, &sql).await?;
        let right = read(case, "values.want").ok_or("no values.want")?;
        if held.trim() != right.trim() {
            return Err(format!("the target holds\n{held}\nand not\n{right}"));
        }
    }
    after(case, &target, &outcome.said).await?;
    if let Some(sql) = read(case, "damage.sql") {
        ask(&target.superuser_url, &sql).await?;
        let chain = chain(outcome.section);
        let (code, out, err) = tokio::task::block_in_place(|| chain.cutover("verify", &[]));
        if code != 3 {
            return Err(format!("damaged, and verify ended with {code}: {out}{err}"));
        }
        patterns(case, "damage.says", &out)?;
    }
    Ok(())
}

/// A SQLite file by its SQL.
pub fn make_source(file: &Path, sql: &str) -> Result<(), String> {
    let connection = rusqlite::Connection::open(file).map_err(|e| e.to_string())?;
    // As applications do that never switched it on: orphans can be written.
    connection
        .pragma_update(None, "foreign_keys", false)
        .map_err(|e| e.to_string())?;
    connection
        .execute_batch(sql)
        .map_err(|e| format!("the source's SQL: {e}"))
}

/// As the application's owner; a superuser's where that is what it takes.
async fn make_target(target: &TestDatabase, sql: &str) -> Result<(), String> {
    // Where the extension cannot be had, the case that needs it says so itself.
    let _ = ask(
        &target.superuser_url,
        "CREATE EXTENSION IF NOT EXISTS btree_gist",
    )
    .await;
    match ask(&target.url, sql).await {
        Ok(_) => Ok(()),
        Err(_) => ask(&target.superuser_url, sql)
            .await
            .map(drop)
            .map_err(|why| format!("target.sql: {why}")),
    }
}

/// Patterns of `file`, each of which has to occur; of `file.not`, none of which may.
fn patterns(case: &Path, file: &str, said: &str) -> Result<(), String> {
    for (file, wanted) in [(file.to_owned(), true), (format!("{file}.not"), false)] {
        for pattern in read(case, &file).unwrap_or_default().lines() {
            if !pattern.trim().is_empty() && occurs(pattern, said) != wanted {
                let how = if wanted { "never" } else { "all the same" };
                return Err(format!("{how} said: {pattern}\nin: {said}"));
            }
        }
    }
    Ok(())
}

fn occurs(pattern: &str, text: &str) -> bool {
    let built = RegexBuilder::new(pattern.trim())
        .case_insensitive(true)
        .build();
    built.expect("a pattern").is_match(text)
}

/// The application's next statements.
async fn after(case: &Path, target: &TestDatabase, said: &str) -> Result<(), String> {
    let Some(sql) = read(case, "after.sql") else {
        return Ok(());
    };
    let wrong = match (ask(&target.url, &sql).await, read(case, "after.want")) {
        (Err(error), _) => Some(error),
        (Ok(got), Some(want)) if got.trim() != want.trim() => Some(format!("it has {got}")),
        (Ok(_), _) => None,
    };
    let mentioned = read(case, "mention").is_some_and(|pattern| occurs(&pattern, said));
    match wrong {
        Some(wrong) if !mentioned => Err(format!("verify 0, then {wrong}")),
        _ => Ok(()),
    }
}

/// The rows that the import put aside, whole or for a value, are those that the green plan named.
pub async fn was_foretold(url: &str, aside: &Value) -> Result<(), String> {
    let sql = "SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_array(source_table, source_row)), '[]')::text FROM cutover.quarantine";
    let held = ask(url, sql).await?;
    let held: BTreeSet<(String, String)> =
        serde_json::from_str(held.trim()).map_err(|e| format!("{e}: {held}"))?;
    let mut named = BTreeSet::new();
    // Of very many the plan lists the first and counts the others.
    let mut unlisted: BTreeMap<String, u64> = BTreeMap::new();
    for of in aside.as_array().into_iter().flatten() {
        let table = of["table"].as_str().unwrap_or_default();
        let rows = of["rows"].as_array().map_or(&[][..], Vec::as_slice);
        let count = of["count"].as_u64().unwrap_or_default();
        *unlisted.entry(table.to_owned()).or_default() += count - rows.len() as u64;
        for row in rows {
            let row = match &row["rowid"] {
                Value::String(key) => key.clone(),
                rowid => rowid.to_string(),
            };
            named.insert((table.to_owned(), row));
        }
    }
    let silent: Vec<_> = held.difference(&named).collect();
    let wrong: Vec<_> = named.difference(&held).collect();
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    for (table, _) in &silent {
        *counted.entry(table.clone()).or_default() += 1;
    }
    unlisted.retain(|_, rows| *rows > 0);
    if wrong.is_empty() && counted == unlisted {
        return Ok(());
    }
    Err(format!(
        "put aside, and the plan did not say so: {silent:?}; said, and not put aside: {wrong:?}"
    ))
}

/// Runs statements and gives what they return as the server's own text: a line per row, columns apart by `|`.
pub async fn ask(url: &str, sql: &str) -> Result<String, String> {
    let client = Endpoint::parse(url)
        .expect("a URL")
        .connect()
        .await
        .map_err(|e| e.to_string())?;
    let answers = client.simple_query(sql).await.map_err(|error| {
        error
            .as_db_error()
            .map_or(error.to_string(), |db| db.message().to_owned())
    })?;
    let mut lines = String::new();
    for answer in answers {
        if let SimpleQueryMessage::Row(row) = answer {
            let cells: Vec<&str> = (0..row.len())
                .map(|at| row.get(at).unwrap_or_default())
                .collect();
            lines.push_str(&cells.join("|"));
            lines.push('\n');
        }
    }
    Ok(lines)
}
