//! Reading runbooks: the reference is clean, every mistake is named with its place, and nothing that is written makes it panic.

mod fleets;
mod pages;

use std::path::Path;

use cutover::runbook::kinds::Word;
use cutover::runbook::{self, Problem, Reading};

/// The environment that the reference runbook asks for.
fn environment(name: &str) -> Option<String> {
    let value = match name {
        "APP_SQLITE" => "/srv/app/tools.db",
        "TARGET_URL" => "postgres://owner:owner-secret@127.0.0.1/app",
        "TARGET_RUNTIME_URL" => "postgres://app:runtime-secret@127.0.0.1/app",
        "SCRATCH_URL" => "postgres://owner:scratch-secret@127.0.0.1/scratch",
        "SCRATCH_RUNTIME_URL" => "postgres://app:scratch-secret@127.0.0.1/scratch",
        "PROBE_TOKEN" => "token-secret",
        "TARGET_LOG" => "/var/log/postgresql.log",
        "APP_1" => "http://127.0.0.1:5001",
        "APP_2" => "http://127.0.0.1:5002",
        "APP_3" => "http://127.0.0.1:5003",
        "APP_4" => "http://127.0.0.1:5004",
        "APP_5" => "http://127.0.0.1:5005",
        "APP_6" => "http://127.0.0.1:5006",
        "APP_STAGING" => "http://127.0.0.1:5009",
        "APP_DIR" => "/srv/app",
        "APPCTL" => "/usr/local/bin/cutover",
        "BACKUP_DIR" => "/srv/backup",
        "OFFSITE_DIR" => "/mnt/offsite",
        "MIGRATIONS_SQL" => "/srv/app/migrations.sql",
        "CHAT_WEBHOOK" => "http://127.0.0.1:5010/hook",
        _ => return None,
    };
    Some(value.to_owned())
}

fn reference() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbook.yaml");
    std::fs::read_to_string(path).expect("the reference runbook")
}

/// What the scenarios change: a runbook that was the reference once, and stays as it is so that their line numbers do.
fn base() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runbook/base.yml");
    std::fs::read_to_string(path).expect("the base of the scenarios")
}

fn read(text: &str) -> Reading {
    runbook::read("runbook.yaml", text, &environment)
}

fn rendered(problems: &[Problem]) -> String {
    runbook::render(problems)
}

#[track_caller]
fn is_clean(reading: &Reading) {
    let problems = &reading.problems;
    assert!(problems.is_empty(), "{}", rendered(problems));
}

#[test]
fn the_reference_runbook_is_clean() {
    let reading = read(&reference());
    is_clean(&reading);
    let runbook = reading.runbook.expect("a runbook");
    assert_eq!(runbook.name, "tool-catalogue");
    assert_eq!(runbook.steps.len(), 32);
    assert_eq!(runbook.gates.len(), 8);
    assert_eq!(runbook.triggers.len(), 12);
    assert_eq!(runbook.hash.0.len(), 64);
}

#[test]
fn a_smoke_check_that_would_ask_nothing_is_a_warning() {
    let text = base().replace("class: read, ", "class: write,");
    let reading = read(&text);
    let said = rendered(&reading.problems);
    let warning = "warning: expected a request of class `read`: E3 sends no other, found none";
    assert!(said.contains(warning), "{said}");
    assert!(!rendered(&read(&base()).problems).contains(warning));
}

/// A scenario is a whole file (`.yaml`) or changes to the base (`.edit`: lines with `-` are replaced by those with `+`).
fn scenario(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a scenario");
    if path.extension().is_some_and(|e| e == "yaml") {
        return text;
    }
    let mut edited = base();
    for hunk in text.split("\n\n").filter(|hunk| !hunk.trim().is_empty()) {
        let side = |sign: char| {
            let lines = hunk.lines().filter_map(|line| line.strip_prefix(sign));
            lines.collect::<Vec<_>>().join("\n")
        };
        let (from, to) = (side('-'), side('+'));
        let occurrences = edited.matches(&from).count();
        assert_eq!(
            occurrences,
            1,
            "{}: {from:?} in the reference",
            path.display()
        );
        edited = edited.replace(&from, &to);
    }
    edited
}

fn files(folder: &str) -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/runbook")
        .join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder of scenarios")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml" || e == "edit"))
        .collect();
    files.sort();
    files
}

/// Compares with the `.txt` beside a scenario; `BLESS=1` writes it anew.
fn agrees(path: &Path, shown: &str) -> bool {
    let expected = path.with_extension("txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&expected, shown).expect("written");
    }
    let wanted = std::fs::read_to_string(&expected).unwrap_or_default();
    if wanted != shown {
        println!("=== {} ===\n{shown}", path.display());
    }
    wanted == shown
}

fn locations_are_inside(problems: &[Problem], text: &str) {
    let lines: Vec<&str> = text.lines().collect();
    for problem in problems {
        let within = (1..=lines.len().max(1)).contains(&problem.line);
        assert!(within, "line {} of {}", problem.line, lines.len());
        let line = lines.get(problem.line - 1).copied().unwrap_or_default();
        let columns = 1..=line.chars().count() + 1;
        assert!(columns.contains(&problem.column), "{problem:?}");
    }
}

#[test]
fn every_mistake_is_named_with_its_place() {
    let mut wrong = Vec::new();
    for path in files("") {
        let text = scenario(&path);
        let reading = read(&text);
        locations_are_inside(&reading.problems, &text);
        if !agrees(&path, &rendered(&reading.problems)) {
            wrong.push(path);
        }
    }
    assert!(wrong.is_empty(), "BLESS=1 accepts the new text: {wrong:?}");
}

#[test]
fn a_transfer_section_stands_alone() {
    let mut wrong = Vec::new();
    for path in files("transfer") {
        let text = scenario(&path);
        let shown = match runbook::parse_transfer("transfer.yaml", &text) {
            Ok(transfer) => serde_json::to_string_pretty(&transfer).expect("JSON") + "\n",
            Err(problems) => rendered(&problems),
        };
        if !agrees(&path, &shown) {
            wrong.push(path);
        }
    }
    assert!(wrong.is_empty(), "BLESS=1 accepts the new text: {wrong:?}");
}

#[test]
fn no_message_holds_a_secret() {
    for path in files("") {
        let reading = read(&scenario(&path));
        let shown = rendered(&reading.problems);
        let json = serde_json::to_string(&reading.problems).expect("JSON");
        let debug = format!("{reading:?}");
        for secret in [
            "hunter2",
            "owner-secret",
            "runtime-secret",
            "scratch-secret",
            "token-secret",
        ] {
            for text in [&shown, &json, &debug] {
                assert!(!text.contains(secret), "{secret} in {}", path.display());
            }
        }
    }
    let clean = format!("{:?}", read(&reference()).runbook.expect("a runbook"));
    assert!(!clean.contains("-secret"), "{clean}");
}

#[test]
fn bytes_that_are_no_text_have_a_place() {
    let problems = runbook::decode("r.yaml", b"cutover: 1\nname: \xff\n").expect_err("not UTF-8");
    assert_eq!((problems[0].line, problems[0].column), (2, 7));
    let utf16 = "cutover: 1".encode_utf16().flat_map(u16::to_le_bytes);
    let bytes: Vec<u8> = [0xff, 0xfe].into_iter().chain(utf16).collect();
    let problems = runbook::decode("r.yaml", &bytes).expect_err("not UTF-8");
    assert_eq!(problems[0].found, "UTF-16");
    assert_eq!(runbook::decode("r.yaml", b"a: b"), Ok("a: b"));
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let text = format!("\u{feff}{}", reference().replace('\n', "\r\n"));
    let reading = read(&text);
    is_clean(&reading);
}

#[test]
fn the_hash_covers_values_but_secrets_by_name() {
    let hash = |changed: &'static str| {
        let env = move |name: &str| {
            let value = environment(name)?;
            Some(if name == changed { value + "x" } else { value })
        };
        runbook::parse("runbook.yaml", &reference(), &env)
            .expect("valid")
            .hash
    };
    let plain = hash("");
    assert_eq!(plain, hash("TARGET_URL"), "a secret's value is not covered");
    assert_ne!(plain, hash("APP_DIR"), "a plain value is");
    let commented = reference() + "# one more line\n";
    let commented = read(&commented).runbook.expect("valid").hash;
    assert_ne!(plain, commented, "every byte of the file is");
}

/// The reference with one small change, chosen by a seed: a character, a line or a word, removed, doubled or exchanged.
fn mutated(reference: &str, seed: u64) -> String {
    use rand::{Rng, SeedableRng};
    const NOISE: [&str; 14] = [
        "\t", "\n", "{", "}", "[", "]", ":", "${", "\"", "'", "&a ", "*a", "!!x ", "\u{1b}",
    ];
    let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
    let chars: Vec<char> = reference.chars().collect();
    let at = rng.random_range(0..chars.len());
    let length = rng.random_range(0..40).min(chars.len() - at);
    let (before, rest) = chars.split_at(at);
    let (piece, after) = rest.split_at(length);
    let (before, piece, after): (String, String, String) = (
        before.iter().collect(),
        piece.iter().collect(),
        after.iter().collect(),
    );
    match rng.random_range(0..5) {
        0 => format!("{before}{after}"),
        1 => format!("{before}{piece}{piece}{after}"),
        2 => format!("{before}{}{after}", NOISE[rng.random_range(0..NOISE.len())]),
        3 => before,
        _ => {
            let mut lines: Vec<&str> = reference.lines().collect();
            let (a, b) = (
                rng.random_range(0..lines.len()),
                rng.random_range(0..lines.len()),
            );
            lines.swap(a, b);
            lines.join("\n")
        }
    }
}

#[test]
fn a_damaged_runbook_never_panics_and_every_problem_has_a_place() {
    let reference = reference();
    let first = std::env::var("SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(1_u64);
    let soak = std::env::var_os("CUTOVER_SOAK").is_some();
    let changes: u64 = if soak { 20_000 } else { 200 };
    let mut invalid = 0;
    for seed in first..first + changes {
        let text = mutated(&reference, seed);
        let reading = std::panic::catch_unwind(|| {
            let reading = read(&text);
            locations_are_inside(&reading.problems, &text);
            let _ = rendered(&reading.problems);
            reading
        });
        let reading = reading.unwrap_or_else(|_| panic!("SEED={seed}"));
        assert_eq!(
            reading.runbook.is_none(),
            reading
                .problems
                .iter()
                .any(|p| p.severity == runbook::Severity::Error),
            "SEED={seed}: a runbook or an error, never both or neither"
        );
        invalid += u64::from(reading.runbook.is_none());
    }
    assert!(
        invalid > changes / 3,
        "the changes hardly hurt: {invalid} of {changes}"
    );
}

#[test]
fn the_documentation_names_every_section_kind_and_key() {
    use cutover::runbook::{
        keys,
        transfer::{FREE_KEYS, POLICY_KEYS},
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbook.md");
    let text = std::fs::read_to_string(path).expect("docs/runbook.md");
    let lists = [
        keys::RUNBOOK,
        keys::PERSON,
        keys::BRIDGE,
        keys::SIGNATURES,
        keys::LIMITS,
        keys::SOURCE,
        keys::TARGET,
        keys::HISTORY,
        keys::REQUIRED,
        keys::FLEET,
        keys::DISCOVERY,
        keys::PROVIDER,
        keys::MAINTENANCE,
        keys::HEADERS_COMMAND,
        keys::METRICS,
        keys::FAMILY,
        keys::INSTANCE,
        keys::TRANSFER,
        keys::ORDERED_LIST,
        keys::SLUG,
        keys::VERIFICATION,
        keys::REQUEST,
        keys::REHEARSAL,
        keys::ACTION,
        keys::HTTP,
        keys::GATE,
        keys::STEP,
        keys::PLACE,
        keys::PROBE,
        keys::LOG_RULE,
        keys::QUERY,
        keys::CHANNEL,
        keys::TRIGGER,
        keys::WHEN,
        keys::ITEM,
        keys::ITEM_CONDITION,
        keys::ROLLBACK,
        &runbook::LogRule::CATEGORIES,
    ];
    let mut missing: Vec<&str> = lists.concat();
    missing.extend(FREE_KEYS.iter().map(|(key, _)| *key));
    let policies = POLICY_KEYS.iter().copied();
    for (kind, own) in policies
        .chain(words::<runbook::ManagerWord>())
        .chain(words::<runbook::StepWord>())
        .chain(words::<runbook::ProbeWord>())
        .chain(words::<runbook::RollbackWord>())
    {
        missing.push(kind);
        missing.extend(own);
    }
    missing.retain(|word| !text.contains(&format!("`{word}`")));
    assert!(
        missing.is_empty(),
        "docs/runbook.md does not name {missing:?}"
    );
}

/// A step that the manual shows can be pasted as it is.
#[test]
fn the_step_that_points_staging_at_postgresql_can_be_pasted() {
    let docs =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbook.md"))
            .expect("the manual");
    let blocks: Vec<&str> = docs.split("```").collect();
    let shown = blocks.iter().find(|block| block.contains("id: E2a"));
    let shown = shown.expect("the step").trim_start_matches("yaml\n");
    let text = reference();
    let at = text.find("  - { id: E3,").expect("E3");
    let text = format!("{}{shown}{}", &text[..at], &text[at..]);
    let reading = read(&text);
    is_clean(&reading);
}

/// Recipes can be pasted as they are: probes below `probes:` in the place of the one that makes their signals, sections at the top level.
#[test]
fn the_recipes_for_monitoring_can_be_pasted() {
    let manual = include_str!("../docs/monitoring.md");
    let blocks: Vec<&str> = manual
        .split("```yaml\n")
        .skip(1)
        .filter_map(|block| block.split("```").next())
        .filter(|block| !block.starts_with('#'))
        .collect();
    assert!(blocks.len() >= 8, "{}", blocks.len());
    let plain = reference();
    let metrics = plain
        .lines()
        .find(|l| l.contains("kind: metrics"))
        .expect("a probe");
    for block in blocks {
        let text = match block.split(':').next() {
            Some(section @ ("bridge" | "notify")) => {
                let from = plain.find(&format!("\n{section}:")).map(|at| at + 1);
                let without = from.map_or(plain.clone(), |at| {
                    let end = plain[at..].find("\n\n").expect("an end");
                    format!("{}{}", &plain[..at], &plain[at + end..])
                });
                format!("{without}\n{block}")
            }
            _ => {
                let indented: Vec<String> = block.lines().map(|l| format!("  {l}")).collect();
                plain.replace(metrics, &indented.join("\n"))
            }
        };
        let value =
            |name: &str| environment(name).or_else(|| Some("a-value-of-its-own".to_owned()));
        let problems = runbook::read("runbook.yaml", &text, &value).problems;
        let first = text
            .lines()
            .position(|l| l.trim() == block.lines().next().unwrap_or_default().trim());
        let first = first.expect("the block") + 1;
        let own = first..first + block.lines().count();
        // What the rest of the reference misses of the probe that had stood there is its own.
        let own: Vec<Problem> = problems
            .into_iter()
            .filter(|p| own.contains(&p.line) && p.severity == runbook::Severity::Error)
            .collect();
        assert!(own.is_empty(), "{block}\n{}", rendered(&own));
    }
}

#[test]
fn a_deputy_needs_no_role_of_their_own() {
    let text = reference().replace(
        "\n  - { id: ada,",
        "\n  - { id: dora, roles: [], user: dora }\n  - { id: ada,",
    );
    let text = text.replace("deputies: [ada]", "deputies: [ada, dora]");
    let reading = read(&text);
    let found = rendered(&reading.problems);
    let runbook = reading.runbook.unwrap_or_else(|| panic!("{found}"));
    let dora = runbook.people.iter().find(|p| p.id == "dora").expect("her");
    assert!(runbook.may_act(dora, runbook::Role::ReleaseManager));
    assert!(!runbook.may_act(dora, runbook::Role::Qa));
}

/// Every kind with its own keys.
fn words<W: Word>() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    W::iter().map(|kind| (kind.word(), kind.own_keys()))
}

#[test]
fn a_rehearsal_asks_no_server_of_production_and_judges_nothing_that_it_would_have_said() {
    let text = reference()
        .replace(
            "\nprobes:\n",
            "\nprobes:\n  - { id: queue, kind: command, shell: \"echo 1\", signals: [queue_depth] }\n",
        )
        .replace(
            "\ntriggers:\n",
            "\ntriggers:\n  - { id: Q, title: Queue, from: F2, when: { signal: queue_depth, above: 9, for: 1m } }\n",
        )
        .replace(
            "\nmonitoring:\n",
            "\nmonitoring:\n  - { id: M6, title: Queue, conditions: [ { signal: queue_depth, at_most: 9 } ] }\n",
        );
    let reading = read(&text);
    is_clean(&reading);
    let runbook = reading.runbook.expect("a runbook");
    let rehearsed = runbook::rehearsal::of(&runbook).expect("a rehearsal");
    assert_eq!(runbook.probes.len(), rehearsed.probes.len() + 1);
    assert_eq!(runbook.triggers.len(), rehearsed.triggers.len() + 1);
    assert_eq!(runbook.monitoring.len(), rehearsed.monitoring.len() + 1);
    assert!(rehearsed.probes.iter().all(|probe| probe.id != "queue"));
}

/// A probe that listens is asked in a rehearsal, too; its window holds ten exports.
#[test]
fn a_rehearsal_listens_for_what_the_staging_slot_exports() {
    let text = reference();
    let metrics = text
        .lines()
        .find(|l| l.contains("kind: metrics"))
        .expect("a probe");
    let otlp =
        "  - { id: traffic, kind: otlp, every: 20s, window: 5m, instances: { app-1: web-1 } }";
    let reading = read(&text.replace(metrics, otlp));
    let found = rendered(&reading.problems);
    let runbook = reading.runbook.unwrap_or_else(|| panic!("{found}"));
    let rehearsed = runbook::rehearsal::of(&runbook).expect("a rehearsal");
    let probe = rehearsed.probes.iter().find(|probe| probe.id == "traffic");
    let Some(runbook::ProbeKind::Otlp(receiver)) = probe.map(|probe| &probe.kind) else {
        panic!("{probe:?}");
    };
    assert_eq!(receiver.window_ms, 200_000);
    let lost = rehearsed
        .unrehearsed
        .iter()
        .any(|one| format!("{one:?}").contains("traffic"));
    assert!(!lost, "{:?}", rehearsed.unrehearsed);
}

/// The reference with changes, in an environment in which one name has another value.
fn problems_with(changes: &[(&str, &str)], name: &str, value: &str) -> String {
    let mut text = reference();
    for (from, to) in changes {
        assert!(text.contains(from), "no {from:?}");
        text = text.replacen(from, to, 1);
    }
    let environment = |asked: &str| match asked == name {
        true => Some(value.to_owned()),
        false => environment(asked),
    };
    let reading = runbook::read("runbook.yaml", &text, &environment);
    rendered(&reading.problems)
}

#[test]
fn a_secret_that_cannot_be_hidden_is_an_error_at_its_place() {
    for value in ["abc12", " ab c \n", ""] {
        let told = problems_with(&[], "PROBE_TOKEN", value);
        says!(told, "error: expected a secret of 6 characters or more");
        assert!(told.contains("(secrets[4])"), "{told}");
        assert!(!told.contains("abc12"), "{told}");
    }
    let told = problems_with(&[], "PROBE_TOKEN", "abc123");
    assert_eq!(told, "0 errors, 0 warnings\n");
}

#[test]
fn a_secret_on_a_command_line_draws_a_warning_that_names_the_other_ways() {
    let list = r#"restart: { command: ["${APPCTL}", "#;
    for (to, warnings) in [
        (
            r#"restart: { command: ["${APPCTL}", "--token=${PROBE_TOKEN}", "#,
            "1 warning",
        ),
        // A rehearsal does not run what names production, which is a warning of its own.
        (
            r#"restart: { command: ["${APPCTL}", "${TARGET_URL}", "#,
            "2 warnings",
        ),
    ] {
        let told = problems_with(&[(list, to)], "", "");
        says!(told, "warning: expected no secret on a command line");
        assert!(told.contains("fleet.restart.command[1]"), "{told}");
        assert!(told.contains("env: {") && told.contains("stdin:"), "{told}");
        let end = format!("0 errors, {warnings}\n");
        assert!(told.ends_with(&end), "{told}");
    }
    // A password that nobody has listed is one, too.
    let changes = [(list, r#"restart: { command: ["${APPCTL}", "${APP_1}", "#)];
    let told = problems_with(&changes, "APP_1", "http://u:hunter2secret@127.0.0.1:5001");
    says!(told, "expected no secret on a command line");
    assert!(!told.contains("hunter2secret"), "{told}");
}

#[test]
fn a_secret_that_the_file_shows_draws_a_warning() {
    let told = problems_with(&[], "PROBE_TOKEN", "DatabaseProvider");
    says!(
        told,
        "warning: expected secrets that this file does not show"
    );
    assert!(told.contains("(secrets[4])"), "{told}");
}

/// An engine that takes a session up may be started in any folder.
#[test]
fn a_file_that_a_url_names_by_a_relative_path_draws_a_warning() {
    let url =
        "postgres://owner:owner-secret@127.0.0.1/app?sslmode=verify-full&sslrootcert=certs/ca.pem";
    let told = problems_with(&[], "TARGET_URL", url);
    says!(told, "a relative one for `sslrootcert`");
    says!(told, "(target.url)");
    lacks!(told, "owner-secret");
    let whole = url.replace("certs/", "/etc/certs/");
    let told = problems_with(&[], "TARGET_URL", &whole);
    assert_eq!(told, "0 errors, 0 warnings\n");
}

#[test]
fn a_password_is_no_part_of_what_is_kept_of_a_runbook_listed_or_not() {
    let text = reference().replace("TARGET_URL, ", "");
    let reading = read(&text);
    let runbook = reading.runbook.expect("a runbook");
    assert_eq!(runbook.values["TARGET_URL"], None);
    let shown = format!("{:?}", reading.secrets);
    assert!(!shown.contains("owner-secret"), "{shown}");
}
