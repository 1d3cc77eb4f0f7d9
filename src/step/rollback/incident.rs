//! R6: the record that an incident review begins with. Not in here: what has to be recorded before another attempt (`session::attempt`).

use std::path::Path;

use crate::session::{Outcome, RollbackCause, brought};
use crate::step::context::Context;
use crate::text::printable;

/// Characters of one line of it.
const LINE_CHARS: usize = 1_000;

/// R6: the record that an incident review begins with.
pub(super) fn incident(ctx: &Context, file: &Path) -> Outcome {
    let path = ctx.base.join(file);
    let rollback = ctx.session.rollback.as_ref();
    let (cause, reason) = match rollback.map(|r| (&r.cause, &r.reason)) {
        Some((RollbackCause::Person { by }, reason)) => {
            (format!("started by {by}"), reason.clone())
        }
        Some((RollbackCause::Trigger { trigger }, reason)) => {
            (format!("trigger {trigger}"), reason.clone())
        }
        None => ("unknown".to_owned(), String::new()),
    };
    let failed: Vec<String> = ctx
        .session
        .steps
        .iter()
        .filter_map(|s| {
            s.outcome
                .as_ref()
                .filter(|o| !o.ok)
                .map(|o| format!("{}: {}", s.id, o.summary))
        })
        .collect();
    let text = format!(
        "# Incident: cutover {session} was rolled back\n\n- Cause: {cause}\n- Reason: {reason}\n- Evidence: {folder}\n\n\
         ## Steps that failed\n\n{failed}\n\n## What users wrote\n\n{written}\n\n## To be filled in before the next attempt\n\n- Root cause:\n- Corrective action:\n\
         - Validated in pre-production by, on:\n",
        session = ctx.session.charter.session,
        folder = ctx.folder.dir().display(),
        failed = listed(&failed, "none"),
        written = written(ctx),
    );
    // A record that people have filled in stays.
    match crate::ours::file::write_beside(&path, text.as_bytes(), None) {
        // Nothing went wrong in the night that has not been.
        Ok(path) if ctx.session.charter.rehearsal => Outcome::done(format!(
            "wrote {}, the rehearsal's own record: after a night it opens the review, without which there is no other attempt",
            path.display()
        )),
        Ok(path) => Outcome::done(format!(
            "opened {}; no new attempt on this target before `cutover correct` and a newer green rehearsal",
            path.display()
        )),
        Err(e) => Outcome::failed(format!("{}: {e}. Open the review by hand", path.display())),
    }
}

/// What came back into SQLite, what did not, and why, as the rows say that were to see to it.
fn written(ctx: &Context) -> String {
    match ctx.session.switched_ms() {
        Some(_) => listed(
            &brought::told(&ctx.session),
            "no row of this rollback says what became of it",
        ),
        None => "- this session had switched nothing, so users wrote to SQLite alone".to_owned(),
    }
}

fn listed(lines: &[String], none: &str) -> String {
    match lines {
        [] => format!("- {none}"),
        lines => {
            let lines = lines.iter();
            let lines: Vec<String> = lines
                .map(|line| format!("- {}", printable(line, LINE_CHARS)))
                .collect();
            lines.join("\n")
        }
    }
}
