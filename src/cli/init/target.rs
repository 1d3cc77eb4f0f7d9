//! The migrated target, looked at for `cutover init`: which migrations it names, what `plan` would suggest, what a rollback could not bring back
//! exactly, whether it speaks TLS. It is only read. Not in here: planning (`transfer::plan`), and what comes back (`salvage::beforehand`).

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::format::counted;
use crate::postgres::migrations::{self, HistoryTable};
use crate::postgres::{Endpoint, pooler};
use crate::runbook::draft::{self, Survey, TargetSeen};
use crate::runbook::transfer::Transfer;
use crate::runbook::{parse_transfer, render};
use crate::salvage::beforehand::{self, Beforehand};
use crate::text::printable;
use crate::transfer::Progress;
use crate::transfer::plan::{Scan, plan};

/// The schema that a draft names.
const SCHEMA: &str = "public";
/// How often what `plan` suggests is taken over: one setting can reveal another problem.
const ROUNDS: usize = 3;
/// Whether the server is on this machine, and whether this connection has TLS.
const LOCAL: &str = "SELECT inet_server_addr() IS NULL OR inet_server_addr() <<= '127.0.0.0/8'::inet OR host(inet_server_addr()) = '::1',
    coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)";

/// Looks at the database to which the file would move.
///
/// # Errors
/// It cannot be reached or read, or the application's migrations have not run on it.
pub(super) async fn look(source: &Path, url: &str, survey: &Survey) -> anyhow::Result<TargetSeen> {
    let endpoint = Endpoint::parse(url)?;
    let endpoint = endpoint.telling(|sentence| errln!("cutover: {sentence}"));
    if endpoint.has_password_in_url() {
        errln!(
            "cutover: the URL holds a password, which every process list shows; PGPASSWORD or a .pgpass file would not"
        );
    }
    let client = pooler::connect(&endpoint).await?;
    let row = client.query_one(LOCAL, &[]).await;
    let row = row.context("the target cannot be asked where it is")?;
    let (is_local, has_tls): (bool, bool) = (row.get(0), row.get(1));
    let applied = applied(&client, survey).await?;
    drop(client);
    let mut seen = TargetSeen {
        applied,
        // Behind a pooler the server may be local to that, and not to this machine.
        plain_and_local: is_local && !has_tls && endpoint.is_on_this_machine(),
        ..TargetSeen::default()
    };
    settle(source, &endpoint, survey, &mut seen).await?;
    Ok(seen)
}

/// The ids that C2 would find there; none where nobody knows the table, or it is not there.
async fn applied(client: &Client, survey: &Survey) -> anyhow::Result<Vec<String>> {
    let Some((framework, _)) = &survey.history else {
        return Ok(Vec::new());
    };
    let Some((table, column)) = framework.target else {
        return Ok(Vec::new());
    };
    let table = HistoryTable {
        schema: SCHEMA.to_owned(),
        table: table.to_owned(),
        column: column.to_owned(),
        within: match framework.within {
            "" => None,
            within => Some(within.to_owned()),
        },
    };
    let found = migrations::history(client, &table, &[]).await?;
    match found.iter().all(|finding| finding.ok) {
        true => Ok(migrations::applied(client, &table).await?),
        false => Ok(Vec::new()),
    }
}

/// Takes over what `plan` suggests until it has nothing to suggest; what of it loses something becomes a place to fill in.
async fn settle(
    source: &Path,
    endpoint: &Endpoint,
    survey: &Survey,
    seen: &mut TargetSeen,
) -> anyhow::Result<()> {
    let mut section = draft::transfer::settings(survey);
    let mut told = BTreeMap::new();
    for _ in 0..ROUNDS {
        let transfer = read(&section)?;
        let planned = plan(
            source,
            endpoint,
            SCHEMA,
            &transfer,
            Scan::Full,
            &|_: Progress| {},
            &CancellationToken::new(),
        )
        .await?;
        if planned.tables.is_empty() {
            bail!(
                "no table of the file is in schema {SCHEMA} of {}: run the application's own migrations on it, then `init --to` again. Nothing was written",
                printable(&endpoint.identity(), 200)
            );
        }
        let unsettled = planned.problems.iter().filter(|p| p.policy.is_none());
        seen.unsettled = unsettled.count() as u64;
        if planned.suggested.is_empty() {
            break;
        }
        section = planned.suggested;
        draft::transfer::remember(&section, &read(&section)?, &mut told);
    }
    let transfer = read(&section)?;
    (seen.transfer, seen.losing) = draft::transfer::taken_over(&section, &transfer, &told);
    match beforehand::look(source, endpoint, SCHEMA, &transfer).await {
        Ok(found) => seen.inexact = inexact(&found),
        Err(error) => errln!(
            "cutover: which values a rollback could not bring back exactly is not known: {}",
            crate::cli::words(&error.into())
        ),
    }
    Ok(())
}

/// The columns of which a rollback could not bring back every value that applications write, each with the first sort of them.
fn inexact(found: &Beforehand) -> Vec<String> {
    let columns = found.columns.iter().filter_map(|column| {
        let mut usual = column.exactness.exceptions.iter().filter(|one| !one.rare);
        let (table, name) = (printable(&column.table, 80), printable(&column.column, 80));
        Some(format!("{table}.{name}: {}", usual.next()?.sentence()))
    });
    columns.collect()
}

fn read(section: &str) -> anyhow::Result<Transfer> {
    let transfer = parse_transfer("transfer", section);
    transfer.map_err(|problems| anyhow::Error::msg(render(&problems)))
}

/// What was seen, for the person who asked.
pub(super) fn told(survey: &Survey, seen: &TargetSeen) -> Vec<String> {
    let migrations = counted(seen.applied.len() as u64, "migration");
    let mut lines = vec![format!(
        "target: {migrations} in its history; `transfer` is what `plan` suggests: read it before you use it"
    )];
    let recorded = survey.history.as_ref();
    let lacking = recorded.map_or_else(Vec::new, |(_, ids)| lacking(ids, &seen.applied));
    if let Some(first) = lacking.first() {
        lines.push(format!(
            "target: {} of SQLite's history missing from its own, such as {}: `expected` is what PostgreSQL has recorded. Unless its migrations have other ids, run those of \
             the same release there, then `init --to` again",
            counted(lacking.len() as u64, "migration"),
            printable(first, 100)
        ));
    }
    if seen.losing > 0 {
        lines.push(format!(
            "target: {} of `transfer` would lose something by what `plan` suggests: a <…> stands there, with what and how many",
            counted(seen.losing, "line")
        ));
    }
    if seen.unsettled > 0 {
        lines.push(format!(
            "target: {} that no setting settles; `cutover plan` names each",
            counted(seen.unsettled, "problem")
        ));
    }
    lines
}

/// What SQLite has recorded and the target has not; nothing where the target has no history that could be read.
fn lacking<'i>(recorded: &'i [String], applied: &[String]) -> Vec<&'i str> {
    if applied.is_empty() {
        return Vec::new();
    }
    let lacking = recorded.iter().filter(|id| !applied.contains(id));
    lacking.map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::lacking;

    #[test]
    fn a_target_of_an_older_release_is_told() {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let recorded = ids(&["shop.0001", "shop.0002"]);
        assert_eq!(lacking(&recorded, &ids(&["shop.0001"])), ["shop.0002"]);
        assert!(lacking(&recorded, &ids(&["shop.0002", "shop.0001", "auth.1"])).is_empty());
        assert!(lacking(&recorded, &[]).is_empty());
    }
}
