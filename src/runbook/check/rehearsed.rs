//! What a rehearsal of this runbook would not run, each with the line by which it would. Warnings: the runbook is valid, and a gate that
//! waits for what was not run stays red.

use super::Check;
use crate::runbook::rehearsal::not_run;

pub(super) fn check(check: &mut Check<'_, '_, '_>) {
    let sections = [
        "source",
        "target",
        "fleet",
        "verification",
        "rehearsal",
        "steps",
        "rollback",
    ];
    if check.runbook.rehearsal.is_none() || !check.sound(&sections) {
        return;
    }
    for action in not_run(check.runbook) {
        let costs = match action.gate() {
            Some(gate) => format!("; {gate} cannot turn green"),
            None => String::new(),
        };
        let found = format!("one that it does not run, since {}{costs}", action.why);
        let expected = "what a rehearsal can do, too";
        check.warn(&action.spot.path, expected, &found, Some(action.mend()));
    }
}
