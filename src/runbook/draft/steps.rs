//! The draft's rows: those of the reference, and in the place of those that name the sandbox what is known of the application. Not in here: the
//! reference (`reference`).

use super::known::{Found, Known, signers};
use super::reference::Reference;
use super::{Survey, or_open, word, words};
use crate::runbook::frameworks::{DATABASE_URL, Framework};
use crate::runbook::model::Role;
use crate::text::quoted;

/// A section of the reference in which what names the sandbox is put in other words.
pub(super) fn with_items(reference: &Reference, section: &str, survey: &Survey) -> String {
    let mut out = String::new();
    for part in reference.parts(section) {
        match part.id.and_then(|id| replaced(id, survey)) {
            Some(text) => out.push_str(&text),
            None if section == "gates" => out.push_str(&gate(part.text, &survey.known)),
            None => out.push_str(part.text),
        }
    }
    out
}

/// A gate for as many as there are: one person cannot sign for two roles of it.
fn gate(text: &str, known: &Known) -> String {
    let wanted = [Role::ReleaseManager, Role::Engineer, Role::Qa];
    let written = words(wanted.iter().map(|role| role.key()));
    if known.people.is_empty() || !text.contains(&written) {
        return text.to_owned();
    }
    let signers = signers(&wanted, &known.people);
    text.replace(&written, &words(signers.iter().map(|role| role.key())))
}

/// They must not run against what the application is configured for, which is SQLite still; and where PostgreSQL is has to follow the
/// session, so that a rehearsal migrates the scratch database.
const COMMAND: &str = "<the program that runs the migrations and its arguments>";

fn migrations(survey: &Survey) -> String {
    let known = &survey.known;
    let framework = survey.history.as_ref().map(|(framework, _)| *framework);
    let command = |usual: &str| {
        let env = environment(known.migrate_env.as_deref(), usual);
        let command = or_open(known.migrate.as_ref(), COMMAND);
        format!("command: {command}, env: {{ {env} }}")
    };
    let found = known.migrate.as_ref().map(Found::comment);
    let (how, comment) = match framework {
        Some(Framework { example: "", .. }) => {
            let open = "<a file made by `dotnet ef migrations script --idempotent`>";
            let script = or_open(known.script.as_ref(), open);
            (format!("script: {script}"), String::new())
        }
        Some(framework) => {
            let example = format!("   # command: {}", framework.example);
            (command(framework.env), found.unwrap_or(example))
        }
        None => (command(DATABASE_URL), String::new()),
    };
    let version = or_open(
        known.version.as_ref(),
        "<the release or commit that pins them>",
    );
    format!(
        "  - {{ id: C1, kind: migrate,           title: Run the migrations, {how}, version: {version}, timeout: 10m, start: auto }}{comment}\n"
    )
}

/// The application's own variables, and of the usual ones those that it has not.
fn environment(own: Option<&str>, usual: &str) -> String {
    let Some(own) = own else {
        return usual.to_owned();
    };
    let key = |entry: &str| entry.split(':').next().unwrap_or_default().to_owned();
    let taken: Vec<String> = own.split(", ").map(key).collect();
    let others = usual
        .split(", ")
        .filter(|entry| !taken.contains(&key(entry)));
    let all: Vec<&str> = [own].into_iter().chain(others).collect();
    all.join(", ")
}

fn switch(known: &Known) -> String {
    let switch = &known.switch;
    let open = [
        "<the key in fleet.config that says which database>",
        "<its value for SQLite>",
        "<its value for PostgreSQL>",
    ];
    let [key, from, to] = [
        or_open(switch.key.as_ref(), open[0]),
        or_open(switch.from.as_ref(), open[1]),
        or_open(switch.to.as_ref(), open[2]),
    ];
    let found = switch.key.as_ref().map(Found::comment);
    let hint = "   # one URL: from: \"{source_url}\", to: \"{runtime_url}\"";
    let comment = found.unwrap_or_else(|| hint.to_owned());
    format!(
        "  - {{ id: F1, kind: switch,        title: Switch the provider configuration, key: {key}, from: {from}, to: {to} }}{comment}\n"
    )
}

fn freeze(known: &Known) -> String {
    let (on, off) = match &known.maintenance {
        Some((on, off)) => (on.yaml.clone(), off.yaml.clone()),
        None => (
            "<how maintenance is switched on>    # such as { write_file: /srv/app/maintenance, content: cutover }".to_owned(),
            "<how it is switched off>            # such as { remove_file: /srv/app/maintenance }".to_owned(),
        ),
    };
    format!(
        "  - id: A1
    kind: freeze
    title: Stop writes and prove it
    on:  {on}
    off: {off}
    quiet: 5s                           # so long nothing may be written before the fence counts as proof
"
    )
}

/// The rows of the protocol that name files, commands or tables.
fn replaced(id: &str, survey: &Survey) -> Option<String> {
    let known = &survey.known;
    Some(match id {
        "P1" => "  - { id: P1, kind: announce, title: Announce the freeze and the window, text: \"Deployment freeze for {name}: writes stop for up to {freeze}. Reads go on.\" }   # webhook: your chat\n".to_owned(),
        "A1" => freeze(known),
        "A2" => format!(
            "  - {{ id: A2, kind: backup,        title: \"Immutable backup, with checksum\", to: {}, keep: 90d, start: auto }}\n",
            or_open(known.backup.as_ref(), "<a folder for backups>")
        ),
        "A3" => format!(
            "  - {{ id: A3, kind: store_backup,  title: A second place, place: {{ directory: {} }}, keep: 365d, start: auto }}\n",
            or_open(known.second.as_ref(), "<a folder on another disk>")
        ),
        "A4" => drill(survey),
        "C1" => migrations(survey),
        "F1" => switch(known),
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
    for seen in survey.critical().0.iter().take(2) {
        let query = format!("SELECT count(*) FROM {}", quoted(&seen.name));
        out.push_str(&format!("      - {}\n", word(&query)));
    }
    if let Some((seen, slug)) = survey.slugs().next() {
        let (table, slug) = (quoted(&seen.name), quoted(slug));
        let query = format!("SELECT {slug} FROM {table} ORDER BY {slug} LIMIT 5");
        out.push_str(&format!("      - {}\n", word(&query)));
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::environment;

    #[test]
    fn no_variable_is_said_twice() {
        let usual = "DATABASE_URL: \"{target_url}\", PGPASSWORD: \"{target_password}\"";
        assert_eq!(environment(None, usual), usual);
        let own = "DB: postgres, DATABASE_URL: \"{target_url:postgresql}\"";
        let both = format!("{own}, PGPASSWORD: \"{{target_password}}\"");
        assert_eq!(environment(Some(own), usual), both);
    }
}
