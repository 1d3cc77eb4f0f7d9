//! Orders for an engine on the reference runbook, for benches in which one runs. Nothing of what the runbook names is asked before a step is
//! started. Not in here: starting it.

use std::path::Path;
use std::sync::Arc;

use cutover::engine::Orders;
use cutover::journal::Folder;
use cutover::session::Opening;

/// Orders for a new session in this folder.
pub fn orders(folder: &Folder) -> Orders {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbook.yaml");
    let text = std::fs::read_to_string(path).expect("the reference runbook");
    let env = |name: &str| {
        Some(match name {
            name if name.ends_with("_URL") => "postgres://a@b/c".to_owned(),
            name if name.starts_with("APP_") || name == "CHAT_WEBHOOK" => {
                "http://127.0.0.1:1".to_owned()
            }
            name => format!("/{name}"),
        })
    };
    let runbook = cutover::runbook::parse("runbook.yaml", &text, &env).expect("valid");
    Orders {
        folder: folder.clone(),
        runbook: Arc::new(runbook),
        environment: Arc::default(),
        base: folder.dir().to_owned(),
        spare: None,
        to_roll_back: false,
        opening: Opening {
            session: folder.session(),
            target: "db:5432/tools".to_owned(),
            production: cutover::session::Production::default(),
            again: None,
            sandbox: true,
            rehearsal: false,
            speed: 1.0,
            wait_before: Vec::new(),
        },
        rehearsal: None,
    }
}
