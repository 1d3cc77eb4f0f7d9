//! After a release: whether the staging slot still leads to production's database. A step took it there before E3, and that step's `undo`
//! runs in a rollback alone. Asked of its page, of its sessions on the target, of its configuration file and of the variables that its
//! processes were started with. Looks, and changes nothing.
//!
//! Not in here: the same question in a rehearsal, before staging is asked to write (`step::staging`).

use std::path::Path;
use std::time::Duration;

use crate::fleet::place::processes_of;
use crate::fleet::processes;
use crate::fleet::provider::{Provider, by_page, sessions_of};
use crate::postgres::{Endpoint, Finding, clients};
use crate::production::configuration_of;
use crate::regular_file;
use crate::runbook::production::Production;
use crate::runbook::{Instance, Runbook};
use crate::step::serving::{as_client_session, everybody_of, places_of};
use crate::text::printable;

/// How long the slot's page may take to answer, and PostgreSQL.
const LIMIT: Duration = Duration::from_secs(5);
/// What a finding is called.
const NAME: &str = "staging";

/// What was seen of the slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    /// What its page says.
    page: Option<Provider>,
    /// Its sessions on production's database; `None` where they cannot be told from others', or nobody answered.
    sessions: Option<u32>,
    /// Whether its configuration or its variables could be read.
    has_settings: bool,
    /// What in them leads to production's database, without a value.
    leads: Option<String>,
}

/// Where the staging slot is after a release; `None` where the runbook has none.
pub async fn still_on_production(runbook: &Runbook, base: &Path) -> Option<Finding> {
    let slot = runbook.fleet.staging.as_ref()?;
    let page = match &runbook.fleet.provider {
        Some(page) => {
            by_page(&crate::fleet::client(), page, slot, LIMIT)
                .await
                .provider
        }
        None => None,
    };
    let (has_settings, leads) = settings(runbook, base, slot).await;
    let seen = Seen {
        page,
        sessions: sessions(runbook, slot).await,
        has_settings,
        leads,
    };
    Some(finding(&printable(&slot.id, 80), &seen))
}

/// How many sessions of the application's role on the target are the slot's.
async fn sessions(runbook: &Runbook, slot: &Instance) -> Option<u32> {
    let runtime = Endpoint::parse(&runbook.target.runtime_url).ok()?;
    let owner = Endpoint::parse(&runbook.target.url).ok()?;
    let connected = tokio::time::timeout(LIMIT, owner.connect()).await.ok()?;
    let client = connected.ok()?;
    let asked = tokio::time::timeout(LIMIT, clients::of_role(&client, runtime.user())).await;
    let all: Vec<_> = asked.ok()?.ok()?.iter().map(as_client_session).collect();
    let places = places_of(&everybody_of(runbook)).await;
    let place = places
        .into_iter()
        .find(|place| place.whereabouts.id == slot.id)?;
    sessions_of(&place.whereabouts, &all)
}

/// Whether the slot's settings could be read, and what in them leads to production's database.
async fn settings(runbook: &Runbook, base: &Path, slot: &Instance) -> (bool, Option<String>) {
    // The SQLite file is production's no more.
    let production = Production::of(runbook, Path::new(""));
    let file = configuration_of(runbook, base, slot);
    let text = file
        .as_ref()
        .and_then(|file| regular_file::read_to_string(file).ok());
    let in_file = text
        .as_ref()
        .and_then(|text| production.led_to_by_file(text))
        .zip(file.as_ref())
        .map(|(found, file)| format!("in its configuration {}, {found}", file.display()));
    let running = processes_of(slot).await;
    let variables: Vec<_> = running.iter().map(processes::variables_of).collect();
    let in_variables = variables
        .iter()
        .find_map(|variables| production.led_to_by(variables))
        .map(|found| format!("in the environment of its process, {found}"));
    let has_settings = text.is_some() || variables.iter().any(|variables| !variables.is_empty());
    (has_settings, in_file.or(in_variables))
}

/// What was seen, as a finding. That it serves from PostgreSQL is no proof that it is this database, and no proof that it is another.
fn finding(slot: &str, seen: &Seen) -> Finding {
    let what_to_do = "What a tester writes there is written into production. Take it to a database of its own now, by what the `undo` of the step that took \
                      it there does (it runs in a rollback alone), and restart it; then `cutover close` once more";
    let open = |why: String| Finding::required(NAME, false, format!("{why}. {what_to_do}"));
    match (seen.sessions, seen.page, &seen.leads) {
        (Some(n), _, _) if n > 0 => open(format!(
            "{slot} still serves from production's database: the application's role has {n} sessions from it there"
        )),
        (_, Some(Provider::Sqlite), _) => Finding::required(
            NAME,
            true,
            format!("{slot} serves from SQLite (its page says so), not from production's database"),
        ),
        (_, _, Some(leads)) => open(format!(
            "{slot} still leads to production's database: {}",
            printable(leads, 300)
        )),
        (Some(_), _, None) if seen.has_settings => Finding::required(
            NAME,
            true,
            format!(
                "{slot} has no session on production's database, and nothing that it is set to leads there"
            ),
        ),
        (_, Some(Provider::Postgres), None) => open(format!(
            "{slot} serves from PostgreSQL (its page says so), and nothing shows that this is another database than production's"
        )),
        (_, None, None) => Finding::advice(
            NAME,
            false,
            format!(
                "whether {slot} still serves from production's database is not known: look there by hand. Where it does, what a tester writes is \
                 written into production"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_may_be_on_production_is_left_open() {
        let seen = |page, sessions, has_settings, leads: Option<&str>| {
            let seen = Seen {
                page,
                sessions,
                has_settings,
                leads: leads.map(str::to_owned),
            };
            let found = finding("staging", &seen);
            (found.ok, found.blocks())
        };
        let (done, open, unknown) = ((true, false), (false, true), (false, false));
        let (sqlite, postgres) = (Some(Provider::Sqlite), Some(Provider::Postgres));
        let leads = Some("in its configuration app.env, DATABASE_URL names the target's database");
        // Its sessions say more than its page, which may tell of the settings alone.
        assert_eq!(seen(sqlite, Some(2), true, None), open);
        assert_eq!(seen(postgres, None, true, leads), open);
        assert_eq!(seen(None, Some(0), true, leads), open);
        // The URL of PostgreSQL may stand beside the key that decides.
        assert_eq!(seen(sqlite, Some(0), true, leads), done);
        // A PostgreSQL of its own.
        assert_eq!(seen(postgres, Some(0), true, None), done);
        assert_eq!(seen(postgres, Some(0), false, None), open);
        assert_eq!(seen(postgres, None, true, None), open);
        assert_eq!(seen(None, Some(0), true, None), done);
        assert_eq!(seen(None, None, true, None), unknown);
        assert_eq!(seen(None, Some(0), false, None), unknown);
    }
}
