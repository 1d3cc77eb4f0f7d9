//! A first runbook for an application, by what its SQLite file tells of it. Pure: a survey in, YAML out.
//!
//! What is the same for everybody is taken from the reference runbook as it stands. What nobody can know from a file is written as `<…>`,
//! which reading a runbook refuses, so that `check` lists what is still to be filled in. What is known besides ([`known`]) stands in its
//! place, each with where it was found. Not in here: reading the file, the folder and the target (`cli::init`), what an application's files
//! mean (`application`), and what does not convert (`transfer::plan`).

mod fleet;
pub mod known;
mod reference;
mod steps;
pub mod transfer;
mod watch;

use std::collections::BTreeSet;

use self::known::{Found, Known, comment};
use self::reference::Reference;
use super::frameworks::Framework;
use crate::text::{printable, yaml_scalar};

/// A draft names at most this many critical tables.
const CRITICAL: usize = 12;
/// If fewer tables are known by what they are, the largest ones are added up to this number.
const AT_LEAST: usize = 3;
/// The largest tables that refer to others are critical, even if no table refers to them: this many.
const LARGEST: usize = 2;
/// Tables without which an application is itself all the same: sessions, caches, queues, what frameworks keep for themselves.
const BALLAST: &[&str] = &[
    "django_session",
    "django_admin_log",
    "django_content_type",
    "auth_permission",
    "sessions",
    "cache",
    "cache_locks",
    "jobs",
    "job_batches",
    "failed_jobs",
    "password_reset_tokens",
    "solid_cache_entries",
    "solid_cable_messages",
    "delayed_jobs",
    "oban_jobs",
    "oban_peers",
];
/// Beginnings of names of such tables.
const BALLAST_BEGINS: &[&str] = &["solid_queue_", "telescope_", "good_job"];
/// What a column that leads to a record from an address is called, or ends with.
const SLUGS: [&str; 3] = ["slug", "permalink", "handle"];

/// What was seen in a SQLite file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Absolute path of the file.
    pub file: String,
    /// Name of the file without folder and ending.
    pub stem: String,
    /// Who made the schema, and the migrations that it has recorded; `None` where that is not known.
    pub history: Option<(&'static Framework, Vec<String>)>,
    /// Tables that are there and stay behind: they belong to the framework, or to a tool that works on the file.
    pub stay: Vec<String>,
    /// The application's own tables.
    pub tables: Vec<Seen>,
    /// What was found in its folder, and what a person has answered.
    pub known: Known,
    /// What was seen in the migrated target; `None` where nobody has looked.
    pub target: Option<TargetSeen>,
}

/// What was seen in the target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetSeen {
    /// The migrations that its history names, as C2 reads them; empty where it has none.
    pub applied: Vec<String>,
    /// The transfer section by which nothing is left to settle, or as near to it as `plan` came, with a `<…>` for each setting that loses
    /// something; the value of `transfer:`.
    pub transfer: String,
    /// Its columns and patterns with such a place.
    pub losing: u64,
    /// Problems that no setting settles.
    pub unsettled: u64,
    /// The columns of which a rollback could not bring back every value exactly, each with which values; empty where that is not known.
    pub inexact: Vec<String>,
    /// The server is on this machine and speaks no TLS.
    pub plain_and_local: bool,
}

/// A table as it was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    pub name: String,
    /// Its rows, counted as far as whoever looked was willing to.
    pub rows: u64,
    /// Columns of the primary key.
    pub key: Vec<String>,
    /// Single columns that are unique by themselves.
    pub unique: Vec<String>,
    /// Those of them whose key compares by more than bytes, as `COLLATE NOCASE` does.
    pub caseless: Vec<String>,
    /// Tables that it refers to.
    pub references: Vec<String>,
}

impl Seen {
    /// The unique column that leads to a record from an address.
    pub fn slug(&self) -> Option<&str> {
        let is_slug = |name: &str| {
            let name = name.to_lowercase();
            SLUGS.iter().any(|known| name.ends_with(known))
        };
        let mut unique = self.unique.iter().map(String::as_str);
        unique.find(|name| is_slug(name))
    }
}

impl Survey {
    /// Tables without whose rows the application is not itself, and how many such are left out: those with a slug, those that others refer
    /// to and the largest that refer to others, which is where users write, the most rows first; where these are few, the largest besides.
    pub fn critical(&self) -> (Vec<&Seen>, usize) {
        let mut by_rows: Vec<&Seen> = self
            .tables
            .iter()
            .filter(|t| !is_ballast(&t.name))
            .collect();
        by_rows.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.name.cmp(&b.name)));
        let referred: BTreeSet<String> = self
            .tables
            .iter()
            .flat_map(|t| {
                t.references
                    .iter()
                    .filter(|r| !r.eq_ignore_ascii_case(&t.name))
            })
            .map(|name| name.to_lowercase())
            .collect();
        let refers = |seen: &&&Seen| !seen.references.is_empty();
        let largest = by_rows.iter().filter(refers).take(LARGEST);
        let largest: Vec<String> = largest.map(|seen| seen.name.clone()).collect();
        let is_known = |seen: &&Seen| {
            seen.slug().is_some()
                || referred.contains(&seen.name.to_lowercase())
                || largest.contains(&seen.name)
        };
        let (mut found, others): (Vec<&Seen>, Vec<&Seen>) = by_rows.into_iter().partition(is_known);
        found.extend(
            others
                .into_iter()
                .take(AT_LEAST.saturating_sub(found.len())),
        );
        let left_out = found.len().saturating_sub(CRITICAL);
        found.truncate(CRITICAL);
        (found, left_out)
    }

    /// Tables with a slug, with that column.
    pub fn slugs(&self) -> impl Iterator<Item = (&Seen, &str)> {
        let with = |seen: &'_ Seen| seen.slug().is_some();
        let tables = self.tables.iter().filter(move |seen| with(seen));
        tables.filter_map(|seen| Some((seen, seen.slug()?)))
    }

    /// A session's name: what of the file's name may stand in one.
    pub fn name(&self) -> String {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let name: String = self.stem.chars().filter(|c| allowed(*c)).take(30).collect();
        match name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            true => name,
            false => "application".to_owned(),
        }
    }
}

pub fn write(survey: &Survey) -> String {
    let reference = Reference::read();
    let mut out = head(survey);
    out.push_str(&people(&survey.known));
    out.push_str(&databases(survey));
    out.push_str(&fleet::section(&survey.known));
    out.push_str(&transfer::section(survey));
    out.push_str(&verification(survey));
    out.push_str(&rehearsal(survey));
    for section in ["gates", "steps"] {
        out.push_str(&steps::with_items(&reference, section, survey));
    }
    out.push_str(&watch::probes(survey));
    out.push_str(reference.section("triggers"));
    out.push_str(&steps::with_items(&reference, "monitoring", survey));
    out.push_str(NOTIFY);
    out.push_str(&feed(&reference, survey));
    out.push_str(&steps::with_items(&reference, "rollback", survey));
    out
}

/// How the reference's section begins.
const KEEP: &str = "feed: { writes: keep,";
const SALVAGE: &str = "feed: { writes: salvage,";

/// The reference's section; but where some rows would not come back by themselves, people bring back all of them, as `plan` suggests.
fn feed(reference: &Reference, survey: &Survey) -> String {
    let text = reference.section("feed");
    let inexact = survey.target.iter().flat_map(|seen| &seen.inexact);
    let inexact: Vec<&String> = inexact.collect();
    let Some(first) = inexact.first() else {
        return text.to_owned();
    };
    let more = match inexact.len() - 1 {
        0 => String::new(),
        more => format!("; and {more} more column(s), which `cutover plan` names"),
    };
    let reason = format!(
        "# Not every column comes back exactly: {}{more}",
        printable(first, 300)
    );
    text.replacen(KEEP, &format!("{reason}\n{SALVAGE}"), 1)
}

fn is_ballast(name: &str) -> bool {
    let name = name.to_lowercase();
    BALLAST.contains(&name.as_str()) || BALLAST_BEGINS.iter().any(|start| name.starts_with(start))
}

/// A value as it may stand in `[ ]` and `{ }`.
fn word(text: &str) -> String {
    yaml_scalar(&text.replace("${", "$${"))
}

fn words<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    let all: Vec<String> = texts.into_iter().map(word).collect();
    format!("[{}]", all.join(", "))
}

fn head(survey: &Survey) -> String {
    format!(
        "\
# A first runbook, by what {file} tells of the application. Every <…> is yours to fill in: `cutover check` lists them, each with
# its line. What stands here besides is a beginning: read it as if somebody else had written it. docs/runbook.md has every key.
#
# ${{NAME}} comes from the environment; a missing one is an error. Names listed under `secrets` never reach the journal, a log or a report.
# Commands are argument lists and see no shell. {{instance}}, {{host}} and {{url}} stand for the instance at hand.

cutover: 1
name: {name}
secrets: [TARGET_URL, TARGET_RUNTIME_URL, SCRATCH_URL, SCRATCH_RUNTIME_URL]

",
        file = printable(&survey.file, 200),
        name = word(&survey.name()),
    )
}

fn people(known: &Known) -> String {
    let mut out = "\
# Who is on the bridge. `user` is the account of the operating system under which a person speaks to the engine: one account, one person.
people:
"
    .to_owned();
    if known.people.is_empty() {
        out.push_str(
            "\x20 - { id: manager,  name: <name>, roles: [release_manager], user: <account> }
  - { id: engineer, name: <name>, roles: [engineer],        user: <account> }
  - { id: dba,      name: <name>, roles: [dba],             user: <account> }
  - { id: qa,       name: <name>, roles: [qa],              user: <account> }
",
        );
    }
    for person in &known.people {
        out.push_str(&format!(
            "  - {{ id: {}, name: {}, roles: {}, user: {} }}\n",
            word(&person.id),
            word(&person.name),
            words(person.roles.iter().map(|role| role.key())),
            word(&person.account),
        ));
    }
    out.push_str("\n# The group of the operating system that these accounts are all in: without it only who opens the session gets into it.\n");
    match &known.group {
        Some(group) => out.push_str(&format!("bridge: {{ group: {} }}\n", group.yaml)),
        None => out.push_str("# bridge: { group: cutover }\n"),
    }
    out.push_str(LIMITS);
    out
}

const LIMITS: &str = "
limits:
  freeze: 45m               # the agreed window; the release manager can extend it
  verify_within: 15m        # V1–V5, counted from F1
  rto: 10m                  # R1–R4+
  countdown: 30s            # from a fired trigger to the rollback
  startup_grace: 60s        # keeps an instance that is restarted on purpose out of T1b; longer than it takes to start
  blind: 2m                 # how long a trigger may see nothing before that is an alarm
  min_requests: 20          # a ratio over fewer requests says nothing

";

fn databases(survey: &Survey) -> String {
    let history = history(survey);
    let (critical, _) = survey.critical();
    format!(
        "\
source:
  file: {file}

target:
  url: ${{TARGET_URL}}                    # postgres://owner@host/database: migrations and import
  runtime_url: ${{TARGET_RUNTIME_URL}}    # as the application connects, with no more rights than it needs
  schema: public
  tls: {tls}
{history}  required:
    tables: {tables}

",
        file = word(&survey.file),
        tls = match survey.target.as_ref().is_some_and(|seen| seen.plain_and_local) {
            true => "optional                         # PostgreSQL is on this machine, and speaks no TLS",
            false => "required                         # a connection without TLS fails B1; optional where the network is yours",
        },
        tables = words(critical.iter().map(|t| t.name.as_str())),
    )
}

/// By what C2 knows that every migration has run on PostgreSQL.
fn history(survey: &Survey) -> String {
    let known = survey.history.as_ref();
    if let Some((table, column, ids)) = &survey.known.history {
        let (table, column, ids) = (&table.yaml, &column.yaml, &ids.yaml);
        return format!("  history: {{ table: {table}, column: {column}, expected: {ids} }}\n");
    }
    let ids = || "[<id of each migration for PostgreSQL>]".to_owned();
    let seen = survey
        .target
        .as_ref()
        .filter(|seen| !seen.applied.is_empty());
    let (comment, expected) = match known {
        Some((framework, _)) if seen.is_some() => (
            format!("What {} has recorded in PostgreSQL, where its migrations have run.", framework.name),
            seen.map_or_else(ids, |seen| words(seen.applied.iter().map(String::as_str))),
        ),
        Some((framework, applied)) => (
            format!(
                "What {} has recorded in SQLite. Migrations for PostgreSQL may have other ids: these are what C2 expects there.{}",
                framework.name,
                match framework.note {
                    "" => String::new(),
                    note => format!("\n  # {note}"),
                }
            ),
            match framework.target {
                Some(_) if !applied.is_empty() => words(applied.iter().map(String::as_str)),
                Some(_) | None => ids(),
            },
        ),
        None => (
            "No framework was recognised by its migration history. By what are the migrations known in PostgreSQL?".to_owned(),
            ids(),
        ),
    };
    let (table, column) = match known.and_then(|(framework, _)| framework.target) {
        Some((table, column)) => (word(table), word(column)),
        None => (
            "<table of the migrations>".to_owned(),
            "<column of their ids>".to_owned(),
        ),
    };
    let within = match known.map(|(framework, _)| framework.within) {
        Some("") | None => String::new(),
        Some(within) => format!(", within: {}", word(within)),
    };
    format!(
        "  # {comment}\n  history: {{ table: {table}, column: {column}{within}, expected: {expected} }}\n"
    )
}

fn verification(survey: &Survey) -> String {
    let (critical, _) = survey.critical();
    let names = || words(critical.iter().map(|t| t.name.as_str()));
    let (page, page_at) = match &survey.known.page {
        Some(page) => (fleet::of_instance(page), comment(&page.at)),
        None => (
            "<a page that reads the critical tables>".to_owned(),
            "   # \"{url}/products?page=1\"".to_owned(),
        ),
    };
    format!(
        "\
verification:
  critical: {names}
  rows_per_second: 100000               # what V reads at most, once PostgreSQL is production
  write_probe: {names}   # a row each as the application's role, rolled back (E2, V5)
  requests:                             # E3 on staging, V2 on every instance, and the synthetic requests in between
    - {{ name: health, class: read, get: {ready}, status: 200 }}
    - {{ name: page, class: read, get: {page}, status: 200, compare_body: true }}{page_at}

",
        names = names(),
        ready = fleet::ready(&survey.known),
    )
}

fn rehearsal(survey: &Survey) -> String {
    format!(
        "\
rehearsal:                              # K3, K4, K6: the protocol against a scratch database, rollback included
  url: ${{SCRATCH_URL}}
  runtime_url: ${{SCRATCH_RUNTIME_URL}}
  max_age: 30d
  copy: {}
  # point, unpoint: actions that put the staging slot onto the copy and the scratch database, which {{source_file}} and {{runtime_url}} are
  # here, and back

",
        match &survey.known.copy {
            Some(copy) => copy.yaml.clone(),
            None => word(&format!("rehearsal/{}.db", survey.name())),
        }
    )
}

/// What is known, or the place that is to be filled in.
fn or_open(found: Option<&Found>, open: &str) -> String {
    found.map_or_else(|| open.to_owned(), |found| found.yaml.clone())
}

const NOTIFY: &str = "\
# People who are not looking: each thing once, with what to do. A `webhook` or a `command` reaches those who are not at a terminal.
notify:
  - { id: screens, terminal: desktop, events: [signature, decision, fired, blind, engine] }   # every cockpit rings

";
