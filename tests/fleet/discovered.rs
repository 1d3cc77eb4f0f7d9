//! Instances that a runbook does not list: a command is really asked, its answer is kept with a session's orders, and one that gives none is
//! named. Not in here: what compose answers (`managed`), and what an answer comes to (`runbook::discovery`).

use std::path::Path;
use std::time::Duration;

use cutover::cli::load::{self, Loaded};
use cutover::cli::orders::Standing;
use cutover::fleet::discovery::discover;
use cutover::runbook::action::{Action, Effect};
use cutover::runbook::discovery::{Discovered, Discovery, Prints};

/// The reference runbook, whose instances a shell line prints.
fn load(line: &str, folder: &Path, discovered: &Discovered) -> Loaded {
    let reference = include_str!("../../runbook.yaml");
    let from = reference.find("  instances:\n").expect("instances");
    let to = reference.find("  staging: {").expect("a staging slot");
    let asks = format!("  instances: {{ shell: '{line}' }}\n");
    let text = [&reference[..from], &asks, &reference[to..]].concat();
    let env = |name: &str| Some(super::managed::value(name));
    let folder = folder.to_owned();
    load::parse("runbook.yaml", text, folder, &env, discovered).expect("a runbook")
}

/// Orders keep what was found, so that an engine that is started later acts on the same instances whatever runs by then.
#[tokio::test]
async fn a_session_keeps_the_instances_that_were_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let line = r#"echo "{\"id\":\"web-1\",\"url\":\"http://10.0.0.1:80\"}" && mkdir asked"#;
    let unasked = load(line, folder, &Discovered::NotAsked);
    assert!(unasked.instances.is_none() && unasked.runbook.fleet.is_unasked());
    let discovery = unasked.runbook.fleet.discovery.expect("a discovery");
    let loaded = load(line, folder, &discover(&discovery, folder).await);
    assert!(
        folder.join("asked").is_dir(),
        "it runs in the runbook's folder"
    );
    let standing = Standing::new(&folder.join("runbook.yaml"), &loaded);
    let kept = serde_json::to_string(&standing).expect("JSON");
    let standing: Standing = serde_json::from_str(&kept).expect("orders");
    let again = standing.loaded().expect("a runbook").runbook;
    let ids: Vec<_> = again
        .fleet
        .instances
        .iter()
        .map(|i| i.id.as_str())
        .collect();
    assert_eq!(ids, ["web-1"]);
    assert_eq!(again.hash, unasked.runbook.hash);
}

#[tokio::test]
async fn a_command_that_gives_no_instances_is_named_with_what_it_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    for (line, limit_s, expected, printed) in [
        (
            "echo no inventory >&2; exit 3",
            60,
            "a command that failed: exit status: 3",
            "no inventory",
        ),
        (
            "echo half; exit 1",
            60,
            "a command that failed: exit status: 1",
            "half",
        ),
        ("sleep 60", 1, "no answer within 1 s", "nothing"),
        ("echo '[]'", 60, "none", "[]"),
        (
            r#"echo '{"id":"a","url":"http://h"} {"id":"a","url":"http://i"}'"#,
            60,
            "2 instances with the id `a`",
            "http://i",
        ),
    ] {
        let line = line.to_owned();
        let limit = Duration::from_secs(limit_s);
        let discovery = Discovery {
            action: Action::new(Effect::Shell { line: line.clone() }, limit),
            prints: Prints::Instances,
        };
        let Discovered::Nothing { found, hint } = discover(&discovery, folder.path()).await else {
            panic!("{line} gave instances");
        };
        let hint = hint.expect("what was printed");
        assert!(found.starts_with(expected), "{line}: {found}");
        assert!(hint.contains(printed), "{line}: {hint}");
    }
}
