//! What keeps a release from being completed, for a shell, which shows no rows, gates and checklist beside it: what of them is open, what the
//! checklist still waits for, and what to do. Pure. Not in here: whether and by whom it may be completed (`decide`).

use super::advice::next_action;
use super::charter::LineKind;
use super::decide::status;
use super::live::ItemView;
use super::state::{Session, StepStatus};
use crate::format::lasting;

/// What is open, in sentences without a full stop at the end; `None` where every row is done. `items` is the checklist as it was last
/// seen; without it, how long it still takes is not said.
pub fn open(session: &Session, items: &[ItemView]) -> Option<String> {
    let (line, state) = session.next_step()?;
    let index = session.charter.step_index(&line.id).unwrap_or_default();
    let mut sentences = vec![format!(
        "{} ({}) is {}{}",
        line.id,
        line.title.trim_end_matches('.'),
        status(state.status),
        behind(session, index)
    )];
    sentences.extend(gates(session));
    sentences.extend(checklist(session, items));
    let advice = next_action(session, session.at_ms).sentence;
    sentences.push(advice.trim_end_matches('.').to_owned());
    Some(sentences.join(". "))
}

/// The rows that come after the first one that is open.
fn behind(session: &Session, index: usize) -> String {
    let others = session.steps.iter().skip(index + 1);
    let others: Vec<&str> = others
        .filter(|step| !step.is_over())
        .map(|step| step.id.as_str())
        .collect();
    match others.as_slice() {
        [] => String::new(),
        [one] => format!(", and {one} is open behind it"),
        several => format!(", and {} are open behind it", several.join(", ")),
    }
}

/// Gates that are still in the way of the switch.
fn gates(session: &Session) -> Option<String> {
    let switch = session.charter.index_of_kind(&LineKind::Switch)?;
    if session.has_switched() {
        return None;
    }
    let red = session.gates_in_the_way(switch);
    let words = red.iter().map(|gate| match gate.evidence_is_green() {
        true => {
            let roles: Vec<&str> = gate.missing_roles().iter().map(|r| r.title()).collect();
            format!("{} (to be signed by {})", gate.id, roles.join(", "))
        }
        false => format!("{} (its evidence is not green)", gate.id),
    });
    let words: Vec<String> = words.collect();
    (!words.is_empty()).then(|| format!("Gates that are not green: {}", words.join(", ")))
}

/// What the checklist waits for, and how long.
fn checklist(session: &Session, items: &[ItemView]) -> Option<String> {
    let place = session.charter.index_of_kind(&LineKind::Checklist)?;
    let (line, state) = (&session.charter.steps[place], &session.steps[place]);
    let stays_green_ms = line.stays_green_ms?;
    if state.is_over() {
        return None;
    }
    let shown = |runbook_ms: i64| lasting(session.charter.real_ms(runbook_ms));
    let whole = shown(stays_green_ms);
    if state.status != StepStatus::Running || items.is_empty() {
        return Some(format!(
            "{} lasts until every item of the checklist has stayed green for {whole}",
            line.id
        ));
    }
    let words = |item: &ItemView| {
        let how = match item.green {
            Some(false) => "is red",
            Some(true) | None => "is blind",
        };
        let reason = item.reason.trim_end_matches('.');
        format!("{} {how}: {reason}", item.id)
    };
    let others: Vec<String> = items
        .iter()
        .filter(|item| item.green != Some(true))
        .map(words)
        .collect();
    if !others.is_empty() {
        return Some(format!(
            "{} ends when every item has stayed green for {whole}, and that has not begun: {}",
            line.id,
            others.join("; ")
        ));
    }
    let left_ms = items
        .iter()
        .map(|item| stays_green_ms.saturating_sub(item.green_for_ms))
        .max()
        .unwrap_or_default();
    Some(format!(
        "Every item of the checklist is green; {} ends in {} if all stay so",
        line.id,
        shown(left_ms.max(0))
    ))
}
