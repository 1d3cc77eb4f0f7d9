//! What has to be true once a rollback is over: SQLite has all that was committed, or all that was until the moment that the rollback names, and
//! nothing else.

use cutover::feed::live::LastRead;
use cutover::salvage::file::Salvaged;
use cutover::session::Outcome;
use tokio_postgres::Client;

use super::model::{self, Done};
use super::switched::Night;
use super::world;
use crate::step::bench::red;

pub fn green(row: &str, outcome: &Outcome) -> Result<(), String> {
    match outcome.ok {
        true => Ok(()),
        false => Err(format!("{row}: {} ({:?})", outcome.summary, red(outcome))),
    }
}

/// What was committed of what the application was to commit, whether it was told or not.
pub async fn committed<'d>(server: &Client, done: &'d [Done]) -> Vec<&'d Done> {
    let mut committed = Vec::new();
    for one in done {
        if one.acked_ms.is_some() || was_committed(server, one).await {
            committed.push(one);
        }
    }
    committed
}

/// What became of a transaction whose commit nobody answered.
async fn was_committed(server: &Client, one: &Done) -> bool {
    let status = format!("SELECT pg_xact_status('{}')", one.xid);
    let row = server
        .query_one(&status, &[])
        .await
        .expect("what became of it");
    row.get::<_, Option<&str>>(0) == Some("committed")
}

/// SQLite has what PostgreSQL has, and both have exactly this.
pub async fn has_all(
    night: &Night,
    server: &Client,
    committed: Vec<&Done>,
    said: &str,
) -> Result<(), String> {
    let wanted = model::after(&night.first, committed);
    let same = world::is_in_postgres(server, &wanted).await;
    same.map_err(|why| format!("{why}\nthe test does not know its writes; {said}"))?;
    let same = world::is_in_sqlite(&night.file, &wanted);
    same.map_err(|why| format!("{why}\n{said}"))
}

/// SQLite has exactly what was committed before the moment that R2+ names; nothing that was acknowledged before it is lost.
pub fn has_all_until_then(
    night: &Night,
    brought: &Outcome,
    committed: &[&Done],
) -> Result<String, String> {
    let read = night.last_read().ok_or("nothing was read")?;
    names_the_moment(night, brought, &read)?;
    let is_there = |one: &&Done| model::sees(&read.snapshot, one.xid);
    let (there, lost): (Vec<&Done>, Vec<&Done>) = committed.iter().copied().partition(is_there);
    let is_before = |one: &&&Done| one.acked_ms.is_some_and(|ms| ms < read.at_ms);
    let before = lost.iter().filter(is_before).count();
    let said = format!(
        "{} transactions are there, {} were committed later; {}",
        there.len(),
        lost.len(),
        brought.summary
    );
    if before > 0 {
        return Err(format!(
            "{before} are lost that were acknowledged before {}; {said}",
            read.at
        ));
    }
    let wanted = model::after(&night.first, there);
    let same = world::is_in_sqlite(&night.file, &wanted);
    same.map_err(|why| format!("{why}\n{said}"))?;
    Ok(said)
}

/// SQLite is as it was at the switch.
pub fn has_nothing_new(night: &Night, brought: &Outcome) -> Result<(), String> {
    let same = world::is_in_sqlite(&night.file, &night.first);
    same.map_err(|why| format!("{why}\n{}", brought.summary))
}

/// R2+ says since when writes are lost, and so does what the salvage file lacks of each table.
fn names_the_moment(night: &Night, brought: &Outcome, read: &LastRead) -> Result<(), String> {
    if !brought.summary.contains(&read.at) {
        return Err(format!(
            "R2+ does not name {}: {}",
            read.at, brought.summary
        ));
    }
    let salvaged = Salvaged::open(&night.salvage()).expect("a salvage file");
    let tables = salvaged.tables().expect("its tables");
    let is_silent = |lacks: &Option<String>| {
        let mut lacks = lacks.iter();
        !lacks.any(|why| why.contains(&read.at))
    };
    match tables.iter().find(|table| is_silent(&table.lacks)) {
        None => Ok(()),
        Some(table) => Err(format!("{} lacks {:?}", table.table, table.lacks)),
    }
}
