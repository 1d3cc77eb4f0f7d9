//! R2: the undoes of the operators' own steps (`kind: command`). Not in here: configuration files and the switch (`configuration`).

use super::super::announce::run_action;
use super::super::context::Context;
use crate::runbook::action::Placeholders;
use crate::session::{Check, Outcome};

/// Runs the undoes of these steps, one after another; one that fails is named and does not stop the others. Adds to the row's outcome
/// what failed. Gives what was done, in sentences.
pub(super) async fn run(ctx: &Context, steps: &[&str], outcome: &mut Outcome) -> Vec<String> {
    let mut said = Vec::new();
    for step in steps {
        let undone = match ctx.runbook.undo_of(step) {
            None => Err("the runbook has no undo for it any more".to_owned()),
            Some(undo) => match ctx.not_rehearsed(undo) {
                Some(why) => Ok(format!("the undo of {step} was {why}")),
                None => run_action(ctx, undo, &Placeholders::new(), &format!("undo-{step}"))
                    .await
                    .map(|done| format!("{step} undone in {:.1} s", done.seconds)),
            },
        };
        match undone {
            Ok(sentence) => {
                ctx.reporter.line(&sentence);
                said.push(sentence);
            }
            Err(why) => {
                let why = format!(
                    "{step} was not undone: {why}. Undo it by hand, or mend its undo and `cutover retry --row R2`"
                );
                outcome
                    .checks
                    .push(Check::new(&format!("undo_{step}"), false, why));
            }
        }
    }
    said
}
