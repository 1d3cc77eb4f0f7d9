//! Secrets that every command of a night prints, in every form, and that are in every place that a runbook has for one: after the night
//! they are where their owner keeps them, and nowhere else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use cutover::journal::Folder;
use cutover::secret::passwords_in;

use crate::support;

/// Changes to the runbook: a secret in the value that is switched to, in headers, in a webhook and in an announcement.
pub(super) const CHANGES: [(&str, &str); 4] = [
    (
        "PROBE_TOKEN]",
        "PROBE_TOKEN, NIGHT_TOKEN, SWITCH_TO, CHAT_WEBHOOK]",
    ),
    ("to: Postgres", r#"to: "${SWITCH_TO}""#),
    (
        r#"headers: { X-Cutover-Probe: "${PROBE_TOKEN}" }"#,
        r#"headers: { X-Cutover-Probe: "${PROBE_TOKEN}", X-Night: "${NIGHT_TOKEN}" }"#,
    ),
    ("Reads go on.", "Reads go on. ${NIGHT_TOKEN}"),
];

/// What they come from. The application reads `Postgres` in any case.
pub(super) const VARIABLES: [(&str, &str); 2] = [
    ("NIGHT_TOKEN", r#"night/T0ken?"q" & %41;$x"#),
    ("SWITCH_TO", "Postgres"),
];

/// To be put before a command: prints every secret of its environment, as it is and encoded, to both streams.
pub(super) const TALK: &str = r#"
for name in TARGET_URL TARGET_RUNTIME_URL SCRATCH_URL PROBE_TOKEN NIGHT_TOKEN CHAT_WEBHOOK; do
    value=$(printenv "$name") || continue
    hex=$(printf %s "$value" | od -An -v -tx1 | tr -d ' \n')
    printf 'said %s\n' "$value"
    printf 'said %s\n' "$value" >&2
    printf 'in hex %s, in percent %s, in base64 %s\n' "$hex" "$(printf %s "$hex" | sed 's/../%&/g')" "$(printf %s "$value" | base64 -w0)"
done
"#;

/// The command lines of every process, as long as a night goes on.
pub(super) fn watch_command_lines(until: impl Fn() -> bool, into: &Mutex<BTreeSet<Vec<u8>>>) {
    while !until() {
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        into.lock().expect("nobody panicked").extend(lines);
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
}

/// Every form of every secret of a sandbox that is looked for, with its name.
fn forms(environment: &std::collections::BTreeMap<String, String>) -> Vec<(String, Vec<u8>)> {
    let mut secrets: Vec<(String, String)> = Vec::new();
    for (name, value) in environment {
        let passwords = passwords_in(value).into_iter();
        secrets.extend(passwords.map(|found| (format!("password of {name}"), found.value)));
        if ["PROBE_TOKEN", "NIGHT_TOKEN"].contains(&name.as_str()) {
            secrets.push((name.clone(), value.clone()));
        }
    }
    assert!(secrets.len() >= 6, "{secrets:?}");
    let mut forms = Vec::new();
    for (name, value) in secrets {
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        let percent: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let json = serde_json::json!(value).to_string();
        for form in [
            value.clone(),
            hex.clone(),
            hex.to_uppercase(),
            percent.to_lowercase(),
            percent,
            json[1..json.len() - 1].to_owned(),
            STANDARD.encode(&value).trim_end_matches('=').to_owned(),
            URL_SAFE.encode(&value).trim_end_matches('=').to_owned(),
            url::form_urlencoded::byte_serialize(value.as_bytes()).collect(),
        ] {
            forms.push((name.clone(), form.into_bytes()));
        }
    }
    forms
}

/// Searches the sandbox's folder, a bundle of the session, what notifications said and the command lines.
pub(super) fn assert_nowhere(
    sandbox: &cutover::demo::sandbox::Sandbox,
    folder: &Folder,
    command_lines: &BTreeSet<Vec<u8>>,
) {
    let environment = sandbox.environment().expect("the variables");
    let forms = forms(&environment);
    let dir = sandbox.dir();
    let bundle = dir.join("the-bundle");
    let report = Command::new(support::cutover())
        .args(["report", "--dir"])
        .arg(folder.dir())
        .arg("--out")
        .arg(&bundle)
        .output()
        .expect("report");
    assert!(report.status.success(), "{report:?}");
    let mut found = Vec::new();
    let mut look = |what: String, bytes: &[u8]| {
        for (name, form) in &forms {
            if memchr::memmem::find(bytes, form).is_some() {
                let shown = String::from_utf8_lossy(form).into_owned();
                found.push(format!("{what} has {name} as {shown}"));
            }
        }
    };
    let mut searched = 0;
    for path in files(dir) {
        let name = path
            .strip_prefix(dir)
            .expect("below it")
            .to_string_lossy()
            .into_owned();
        if !keeps_secrets(&name) {
            searched += 1;
            look(name, &std::fs::read(&path).unwrap_or_default());
        }
    }
    for line in command_lines {
        look(
            format!("the process list ({})", String::from_utf8_lossy(line)),
            line,
        );
    }
    look("report's own output".to_owned(), &report.stdout);
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(searched > 30, "only {searched} files were searched");
    let output = std::fs::read_dir(folder.dir().join("output")).expect("outputs");
    let said = output
        .flatten()
        .filter_map(|file| std::fs::read_to_string(file.path()).ok())
        .collect::<String>();
    for name in ["${TARGET_URL}", "${NIGHT_TOKEN}", "${CHAT_WEBHOOK}"] {
        assert!(
            said.contains(&format!("said {name}")),
            "no command said {name}: {said}"
        );
    }
    let chat = std::fs::read_to_string(sandbox.layout().chat()).expect("the chat");
    assert!(chat.contains("Reads go on. ${NIGHT_TOKEN}"), "{chat}");
}

/// Where secrets belong: the instances' own configuration and the sandbox's, what an engine is started with, former configurations;
/// and the databases.
fn keeps_secrets(name: &str) -> bool {
    let of_the_sandbox = ["sandbox.env", "sandbox.json"];
    let last = name.rsplit('/').next().unwrap_or_default();
    last == "orders.json"
        || name.contains("/former/")
        || last.starts_with("app.env")
        || last == "app-3.again"
        || of_the_sandbox.contains(&name)
        || name.starts_with("postgres/")
        || name.starts_with("cluster/")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found = Vec::new();
    for entry in entries {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}
