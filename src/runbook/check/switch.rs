//! Where the switch leads the application: into the target, and nowhere else. Not in here: whether the instances are seen there (`step::arrival`).

use super::Check;
use crate::runbook::model::SwitchedKey;
use crate::runbook::production::names_database;
use crate::text::printable;

/// Values longer than this are cut where they are shown.
const SHOWN_CHARS: usize = 120;

pub(super) fn check(check: &mut Check<'_, '_, '_>) {
    if !check.sound(&["steps", "target", "rehearsal"]) {
        return;
    }
    let target = &check.runbook.target;
    let scratch = check.runbook.rehearsal.as_ref();
    for step in &check.runbook.steps {
        let Some(SwitchedKey { to, .. }) = step.kind.switched_key() else {
            continue;
        };
        // What follows the session leads where the session does.
        let follows = to.contains("{runtime_url") || to.contains("{target_url");
        let leads_to = |url: &str| names_database(url, to);
        if follows || leads_to(&target.runtime_url) || leads_to(&target.url) {
            continue;
        }
        let path = format!("steps[{}].to", step.id);
        let expected = "an address of the target's database, best `{runtime_url}`, which a rehearsal fills with its own";
        let found = format!(
            "`{}`",
            printable(&crate::secret::without_passwords(to), SHOWN_CHARS)
        );
        if scratch.is_some_and(|scratch| leads_to(&scratch.runtime_url) || leads_to(&scratch.url)) {
            let found = format!(
                "{found}, the rehearsal's scratch database: users would write into a copy that nobody keeps"
            );
            check.error(&path, expected, &found, None);
        } else if is_address(to) {
            let hint = "the database of `target.runtime_url` is not named in it; where a pooler stands in between that is as it should be. F2 \
                        looks whether the instances are seen in the target"
                .to_owned();
            check.warn(&path, expected, &found, Some(hint));
        }
    }
}

/// Whether a value says where a PostgreSQL is, in one of the forms in which programs take that.
fn is_address(value: &str) -> bool {
    let lower = value.to_lowercase();
    let is_url = lower.contains("postgres") && lower.contains("://");
    let is_keywords = ["dbname=", "database="]
        .iter()
        .any(|key| lower.replace(' ', "").contains(key));
    is_url || is_keywords
}
