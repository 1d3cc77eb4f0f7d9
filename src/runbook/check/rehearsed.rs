//! What a rehearsal of this runbook would not run, each with the line by which it would; and that nothing points its staging slot. Warnings:
//! the runbook is valid, and a gate that waits for what was not run stays red.

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
    let has_point = check.runbook.rehearsal.as_ref();
    if has_point.is_some_and(|rehearsal| rehearsal.point.is_none()) {
        let expected =
            "`point`, which puts the staging slot onto the copy and the scratch database";
        let found = "none: where staging serves from before the switch is left to chance, and lowers the confidence score";
        check.warn("rehearsal", expected, found, None);
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
