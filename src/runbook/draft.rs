//! A first runbook for an application, by what its SQLite file tells of it. Pure: a survey in, YAML out.
//!
//! What is the same for everybody is taken from the reference runbook as it stands. What nobody can know from a file is written as `<…>`,
//! which reading a runbook refuses, so that `check` lists what is still to be filled in. Not in here: reading the file (`cli::init`), and
//! what does not convert (`transfer::plan`, which needs the target).

mod reference;

use std::collections::BTreeSet;

use self::reference::Reference;
use super::frameworks::{DATABASE_URL, Framework};
use crate::text::{printable, yaml_scalar};

/// So many tables are critical at most.
const CRITICAL: usize = 12;
/// Where fewer are known by what they are, the largest make up for it.
const AT_LEAST: usize = 3;
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
}

/// A table as it was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// Its rows, counted as far as whoever looked was willing to.
    pub rows: u64,
    /// Columns of the primary key.
    pub key: Vec<String>,
    /// Single columns that are unique by themselves.
    pub unique: Vec<String>,
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
    /// Tables without whose rows the application is not itself, and how many such are left out: those with a slug and those that others
    /// refer to, the most rows first; where these are few, the largest besides.
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
        let is_known =
            |seen: &&Seen| seen.slug().is_some() || referred.contains(&seen.name.to_lowercase());
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

/// The runbook.
pub fn write(survey: &Survey) -> String {
    let reference = Reference::read();
    let mut out = head(survey);
    out.push_str(&people());
    out.push_str(&databases(survey));
    out.push_str(&fleet());
    out.push_str(&transfer(survey));
    out.push_str(&verification(survey));
    out.push_str(&rehearsal(survey));
    for section in ["gates", "steps"] {
        out.push_str(&with_items(&reference, section, survey));
    }
    out.push_str(&probes(survey));
    out.push_str(reference.section("triggers"));
    out.push_str(&with_items(&reference, "monitoring", survey));
    out.push_str(NOTIFY);
    out.push_str(&with_items(&reference, "rollback", survey));
    out
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

fn people() -> String {
    "\
# Who is on the bridge. `user` is the account of the operating system under which a person speaks to the engine: one account, one person.
people:
  - { id: manager,  name: <name>, roles: [release_manager], user: <account> }
  - { id: engineer, name: <name>, roles: [engineer],        user: <account> }
  - { id: dba,      name: <name>, roles: [dba],             user: <account> }
  - { id: qa,       name: <name>, roles: [qa],              user: <account> }

limits:
  freeze: 45m               # the agreed window; the release manager can extend it
  verify_within: 15m        # V1–V5, counted from F1
  rto: 10m                  # R1–R4+
  countdown: 30s            # from a fired trigger to the rollback
  startup_grace: 60s        # keeps an instance that is restarted on purpose out of T1b; longer than it takes to start
  blind: 2m                 # how long a trigger may see nothing before that is an alarm
  min_requests: 20          # a ratio over fewer requests says nothing

"
    .to_owned()
}

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
  tls: required                         # a connection without TLS fails B1; optional where the network is yours
{history}  required:
    tables: {tables}

",
        file = word(&survey.file),
        tables = words(critical.iter().map(|t| t.name.as_str())),
    )
}

/// By what C2 knows that every migration has run on PostgreSQL.
fn history(survey: &Survey) -> String {
    let known = survey.history.as_ref();
    let ids = || "[<id of each migration for PostgreSQL>]".to_owned();
    let (comment, expected) = match known {
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
                Some(_) => words(applied.iter().map(String::as_str)),
                None => ids(),
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
    format!(
        "  # {comment}\n  history: {{ table: {table}, column: {column}, expected: {expected} }}\n"
    )
}

fn fleet() -> String {
    "\
# Every process that serves the application; one is the canary. `staging` is asked on PostgreSQL before anybody is switched (E3); you switch it there.
fleet:
  instances:
    - { id: app-1, url: <its own base URL>, canary: true }
  staging: { id: staging, url: <the base URL of a staging slot> }
  config: <the file from which an instance takes its configuration, with {instance} in its path>
  log: <the file that an instance logs to, with {instance} in its path>
  ready: \"{url}/ready\"                  # answers 2xx once the instance can serve
  # provider: { get: \"{url}/<a page>\", sqlite: <regular expression over its body>, postgres: <another> }   # by which an instance says what it serves from
  # maintenance: { get: \"{url}/<a page>\", on: <regular expression over its body>, off: <another> }   # by which it says whether it refuses writes
  metrics: \"{url}/metrics\"              # Prometheus' text format; without it, let a `prometheus` or `command` probe make http_5xx_ratio and latency_p95_ms
  restart: { command: [<program that restarts an instance>, \"{instance}\"], timeout: 60s }
  connect: { command: [<program that connects to PostgreSQL from a host>, \"{host}\"], timeout: 30s }   # B3
  ready_within: 60s                     # how long a restarted instance may take
  ready_successes: 3                    # consecutive answers; one failure starts over

"
    .to_owned()
}

fn transfer(survey: &Survey) -> String {
    let mut out = "\
# `cutover plan` names every value that does not fit PostgreSQL, and prints what belongs in here to settle it.
transfer:
  zone: UTC                             # what a time without an offset means; check that it is true
"
    .to_owned();
    out.push_str(match survey.history {
        Some((framework, _)) if framework.name == "Django" => {
            "  # target_rows: replace                # its migrations fill tables of their own, such as auth_permission: this empties them first\n"
        }
        _ => "  # target_rows: replace                # where the migrations put rows into tables that are moved\n",
    });
    if !survey.stay.is_empty() {
        let stay = words(survey.stay.iter().map(String::as_str));
        out.push_str(&format!("  exclude: {stay}\n"));
    }
    let slugs: Vec<_> = survey.slugs().collect();
    if !slugs.is_empty() {
        out.push_str("  slugs:                                # each must lead to the same record on both sides\n");
    }
    for (seen, slug) in &slugs {
        out.push_str(&format!(
            "    - {{ table: {}, column: {}, trim: true, ignore_case: true }}\n",
            word(&seen.name),
            word(slug)
        ));
    }
    out.push_str(&lists(survey));
    out.push('\n');
    out
}

/// An example alone: in which order the application shows its lists nobody can know, and PostgreSQL's collation may be another.
fn lists(survey: &Survey) -> String {
    let (critical, _) = survey.critical();
    let example = critical.iter().find(|seen| !seen.key.is_empty());
    let example = example.map_or_else(String::new, |seen| {
        let name = printable(&seen.name, 60);
        let key = seen.key.iter().map(String::as_str);
        format!(
            "  #   - {{ name: newest, table: {}, order_by: {}, limit: 200 }}\n",
            word(&name),
            printable(&words(key), 100)
        )
    });
    let head = "  # The orders in which the application shows its core lists, compared row by row on both sides (T4c, V4):\n  # lists:\n";
    format!("{head}{example}")
}

fn verification(survey: &Survey) -> String {
    let (critical, _) = survey.critical();
    let names = || words(critical.iter().map(|t| t.name.as_str()));
    format!(
        "\
verification:
  critical: {names}
  rows_per_second: 100000               # what V reads at most, once PostgreSQL is production
  write_probe: {names}   # a row each as the application's role, rolled back (E2, V5)
  requests:                             # E3 on staging, V2 on every instance, and the synthetic requests in between
    - {{ name: health, class: read, get: \"{{url}}/ready\", status: 200 }}
    - {{ name: page, class: read, get: <a page that reads the critical tables>, status: 200, compare_body: true }}   # \"{{url}}/products?page=1\"

",
        names = names(),
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
        word(&format!("rehearsal/{}.db", survey.name()))
    )
}

/// A section of the reference in which what names the sandbox is put in other words.
fn with_items(reference: &Reference, section: &str, survey: &Survey) -> String {
    let mut out = String::new();
    for part in reference.parts(section) {
        match part.id.and_then(|id| replaced(id, survey)) {
            Some(text) => out.push_str(&text),
            None => out.push_str(part.text),
        }
    }
    out
}

/// They must not run against what the application is configured for, which is SQLite still; and where PostgreSQL is has to follow the
/// session, so that a rehearsal migrates the scratch database.
const COMMAND: &str = "command: <the program that runs the migrations and its arguments>";

/// The rows of the protocol that name files, commands or tables.
fn replaced(id: &str, survey: &Survey) -> Option<String> {
    Some(match id {
        "P1" => "  - { id: P1, kind: announce, title: Announce the freeze and the window, text: \"Deployment freeze for {name}: writes stop for up to {freeze}. Reads go on.\" }   # webhook: your chat\n".to_owned(),
        "A1" => "  - id: A1
    kind: freeze
    title: Stop writes and prove it
    on:  <how maintenance is switched on>    # such as { write_file: /srv/app/maintenance, content: cutover }
    off: <how it is switched off>            # such as { remove_file: /srv/app/maintenance }
    quiet: 5s                           # so long nothing may be written before the fence counts as proof
".to_owned(),
        "A2" => "  - { id: A2, kind: backup,        title: \"Immutable backup, with checksum\", to: <a folder for backups>, keep: 90d, start: auto }\n".to_owned(),
        "A3" => "  - { id: A3, kind: store_backup,  title: A second place, place: { directory: <a folder on another disk> }, keep: 365d, start: auto }\n".to_owned(),
        "A4" => drill(survey),
        "C1" => {
            let framework = survey.history.as_ref().map(|(framework, _)| *framework);
            let command = |env: &str| format!("{COMMAND}, env: {{ {env} }}");
            let (how, comment) = match framework {
                Some(Framework { example: "", .. }) => {
                    let script = "script: <a file made by `dotnet ef migrations script --idempotent`>";
                    (script.to_owned(), String::new())
                }
                Some(framework) => (command(framework.env), format!("   # command: {}", framework.example)),
                None => (command(DATABASE_URL), String::new()),
            };
            format!("  - {{ id: C1, kind: migrate,           title: Run the migrations, {how}, version: <the release or commit that pins them>, timeout: 10m, start: auto }}{comment}\n")
        }
        "F1" => "  - { id: F1, kind: switch,        title: Switch the provider configuration, key: <the key in fleet.config that says which database>, from: <its value for SQLite>, to: <its value for PostgreSQL> }   # one URL: from: \"{source_url}\", to: \"{runtime_url}\"\n".to_owned(),
        "F2" => "  - { id: F2, kind: rollout,       title: \"Restart: canary first, then the fleet\", batch: 1, start: auto }\n".to_owned(),
        "M3" => M3.to_owned(),
        "R3" => "  - { id: R3,  kind: restart,        title: Release the fence and restart the instances }   # action: a restart that does not drain, where there is one\n".to_owned(),
        "R5" => "  - { id: R5,  kind: preserve,       title: Preserve PostgreSQL's artefacts and logs }   # logs: [files of its log, where they can be read here]\n".to_owned(),
        "R6" => "  - { id: R6,  kind: incident,       title: Open the incident review, file: incident.md }\n".to_owned(),
        _ => return None,
    })
}

/// A file does not tell what the application exposes, and an item on a signal that never comes could never turn green.
const M3: &str = "  # Of the application's own pool nobody has seen a number yet. Where its metrics page has db_pool_waiting, db_pool_timeouts_total, db_pool_active
  # and db_pool_max (`cutover check` says what it lacks), these conditions are better; without them M3 never turns green, and G2 never ends:
  #   [ { signal: pool_waiting, at_most: 0 }, { signal: pool_timeouts, at_most: 0 }, { signal: pool_used_ratio, at_most: 90% } ]
  - { id: M3, title: Connection pool, conditions: [ { signal: pg_waiting, at_most: 5 } ] }   # sessions of the target that wait for a lock
";

fn drill(survey: &Survey) -> String {
    let mut out = "  - id: A4
    kind: restore_drill
    title: Prove each copy readable
    start: auto
    queries:
"
    .to_owned();
    let sql = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    for seen in survey.critical().0.iter().take(2) {
        let query = format!("SELECT count(*) FROM {}", sql(&seen.name));
        out.push_str(&format!("      - {}\n", word(&query)));
    }
    if let Some((seen, slug)) = survey.slugs().next() {
        let (table, slug) = (sql(&seen.name), sql(slug));
        let query = format!("SELECT {slug} FROM {table} ORDER BY {slug} LIMIT 5");
        out.push_str(&format!("      - {}\n", word(&query)));
    }
    out.push('\n');
    out
}

fn probes(survey: &Survey) -> String {
    let rules = match survey.history.as_ref().and_then(|(f, _)| f.log_rules) {
        Some(set) => format!(
            "    rules: {set}                       # ready-made: docs/runbook.md, under Probes and signals\n"
        ),
        None => "    rules:                              # the first that matches decides; a line that none matches is counted as other
      - { category: pending_migration,   match: \"[Pp]ending migration\" }
      - { category: ddl_exception,       match: \"42P01|42703|relation .* does not exist\" }
      - { category: database_exception,  match: \"SQLSTATE|PostgresError|PSQLException|PG::|psycopg|PostgreSQL.*(refused|terminat)\" }
      - { category: unhandled_exception, match: \"[Uu]nhandled|Traceback \\\\(most recent|^panic:\" }
      - { category: host_booted,         match: <a line that an instance logs when it has started> }
"
        .to_owned(),
    };
    format!(
        "\
probes:
  - {{ id: readiness, kind: readiness, interval: 5s, timeout: 3s }}
  - {{ id: traffic,   kind: metrics,   interval: 5s, timeout: 3s, window: 5m }}
  - {{ id: synthetic, kind: synthetic, interval: 5s, timeout: 5s }}
  - {{ id: pool,      kind: pool,      interval: 5s, timeout: 3s }}
  - id: logs
    kind: logs
    interval: 5s
{rules}
"
    )
}

const NOTIFY: &str = "\
# People who are not looking: each thing once, with what to do. A `webhook` or a `command` reaches those who are not at a terminal.
notify:
  - { id: screens, terminal: desktop, events: [signature, decision, fired, blind, engine] }   # every cockpit rings

";
