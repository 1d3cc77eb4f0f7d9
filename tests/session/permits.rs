//! Every act by every role, as a table.

use cutover::runbook::Role;
use cutover::session::roles::{PERMITS, permit};
use cutover::session::{Actor, Command, Event, Recorded, Refusal, Session, decide};

/// One command for each act.
pub fn commands() -> Vec<Command> {
    let text = || "because".to_owned();
    let gate = || "K8".to_owned();
    vec![
        Command::StartStep { step: None },
        Command::Confirm { step: None },
        Command::Sign {
            gate: gate(),
            role: None,
            note: None,
            proof: None,
        },
        Command::Withdraw {
            gate: gate(),
            role: None,
        },
        Command::Hold { reason: text() },
        Command::Resume,
        Command::Skip {
            step: "P1".into(),
            reason: text(),
        },
        Command::DecideUnknown {
            step: "P1".into(),
            done: true,
            reason: text(),
        },
        Command::ExtendFreeze { by_ms: 60_000 },
        Command::RollBack {
            reason: text(),
            confirm: Some("tonight".into()),
        },
        Command::Complete,
        Command::Note { text: text() },
        Command::Retry { row: None },
        Command::Correct {
            what: text(),
            gives_up_rows: false,
        },
        Command::Close {
            found: vec![text()],
            accepts_open: false,
        },
    ]
}

/// A line per act, a column per role: `yes`, or `no`. Asserts that `decide` refuses exactly where the table says no.
pub fn table() -> String {
    let opened = Event::SessionOpened {
        charter: Box::new(super::charter()),
    };
    let session = Session::open(&Recorded {
        seq: 1,
        at_ms: 0,
        wall: chrono::DateTime::UNIX_EPOCH,
        event: opened,
    })
    .expect("a session");
    let commands = commands();
    assert_eq!(commands.len(), PERMITS.len(), "one command for each act");
    let mut out = format!("{:<45}", "act");
    for role in Role::ALL {
        out.push_str(&format!("{:<17}", role.title()));
    }
    let mut out = out.trim_end().to_owned() + "\n";
    for (command, (act, _, what)) in commands.iter().zip(PERMITS) {
        assert_eq!(command.act(), act);
        let mut line = format!("{what:<45}");
        for role in Role::ALL {
            let actor = Actor {
                id: "x".into(),
                roles: vec![role],
            };
            let allowed = permit(act, &[role]).is_ok();
            let decided = decide(&session, &actor, command);
            let refused = matches!(decided, Err(Refusal::NotAllowed { .. }));
            assert_eq!(allowed, !refused, "{act:?} as {role:?}");
            line.push_str(&format!("{:<17}", if allowed { "yes" } else { "no" }));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
