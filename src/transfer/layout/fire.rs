//! Triggers of the target that run during the load (`fire:`): which ones are meant, and whether the rows arrive as the source has them when
//! they run. As far as their text tells. Pure; columns that nothing fills are in [`super::unfilled`].

use crate::postgres::catalogue::{Catalogue, Table, Trigger};
use crate::runbook::transfer::Transfer;
use crate::text::printable;
use crate::transfer::layout::{Layout, TableLayout, structural};
use crate::transfer::plan::Problem;

/// Whether `fire:` names this trigger of this table: by its name, or as `table.trigger`.
pub fn fires(fire: &[String], table: &str, trigger: &str) -> bool {
    fire.iter().any(|said| is_meant(said, table, trigger))
}

fn is_meant(said: &str, table: &str, trigger: &str) -> bool {
    said == trigger
        || said
            .strip_prefix(table)
            .and_then(|rest| rest.strip_prefix('.'))
            .is_some_and(|rest| rest == trigger)
}

/// What `fire:` calls a trigger: its name, with the table's before it where another table has one of that name.
pub(super) fn called(table: &Table, trigger: &Trigger) -> String {
    if trigger.shared {
        format!("{}.{}", table.name, trigger.name)
    } else {
        trigger.name.clone()
    }
}

impl Layout {
    /// What `fire:` names has to be one trigger that may run before a row is inserted and leaves it as it is. Where plan would suggest one
    /// that does not, it says so instead.
    pub(super) fn look_at_triggers(&mut self, target: &Catalogue, transfer: &Transfer) {
        for said in &transfer.fire {
            match self.judged(said, target) {
                Ok(Some(note)) => self.notes.push(note),
                Ok(None) => {}
                Err(reason) => self.problems.push(structural("", "", reason, None)),
            }
        }
        let mut problems = std::mem::take(&mut self.problems);
        for problem in &mut problems {
            let policy = problem.policy.clone().unwrap_or_default();
            let Some(said) = policy.strip_prefix("fire: ") else {
                continue;
            };
            if let Err(reason) = self.judged(said, target) {
                problem.policy = None;
                problem.reason = format!(
                    "{}. {reason}. For the target: a DEFAULT for the column, or NOT NULL only after the import",
                    problem.reason
                );
                self.wishes.fire.remove(said);
            }
        }
        self.problems = problems;
    }

    /// What is worth a note about a trigger that is to run.
    fn judged(&self, said: &str, target: &Catalogue) -> Result<Option<Problem>, String> {
        let shown = printable(said, 120);
        let tables = target.tables.iter();
        let all =
            tables.flat_map(|table| table.triggers.iter().map(move |trigger| (table, trigger)));
        let named: Vec<(&Table, &Trigger)> = all
            .filter(|(table, trigger)| {
                !trigger.inherited && is_meant(said, &table.name, &trigger.name)
            })
            .collect();
        let (table, trigger) = match named.as_slice() {
            [] => {
                return Err(format!(
                    "`fire:` names the trigger {shown}, which the target does not have"
                ));
            }
            [one] => *one,
            several => {
                let tables: Vec<String> = several
                    .iter()
                    .map(|(table, trigger)| {
                        printable(&format!("{}.{}", table.name, trigger.name), 120)
                    })
                    .collect();
                return Err(format!(
                    "`fire:` names the trigger {shown}, which several tables have; say which: {}",
                    tables.join(", ")
                ));
            }
        };
        if !trigger.before_insert {
            return Err(format!(
                "`fire:` names the trigger {shown}, which is no BEFORE INSERT trigger for each row; what it does afterwards belongs into `after_import:`"
            ));
        }
        let Some(moving) = self.tables.iter().find(|own| own.target.oid == table.oid) else {
            return Ok(None);
        };
        if let Some(reason) = self.unfit(moving, trigger) {
            return Err(format!(
                "The trigger {shown} cannot run during the load: {reason}"
            ));
        }
        let raises = has_words(
            &code(&trigger.body),
            "raise",
            &["exception", "'", "sqlstate"],
        );
        let note = format!(
            "the trigger {shown} runs during the load and may refuse rows; the import stops at the first that it refuses"
        );
        Ok(raises.then(|| structural(&moving.source.name, "", note, None)))
    }

    /// Why rows would not arrive as the source has them.
    fn unfit(&self, table: &TableLayout, trigger: &Trigger) -> Option<String> {
        let body = code(&trigger.body);
        if has_words(&body, "return", &["null"]) {
            return Some("it may return NULL, and the row would be lost".to_owned());
        }
        let only_for_null = |name: &str| {
            let name = name.to_lowercase();
            body.contains(&format!("new.{name} is null"))
                || body.contains(&format!("coalesce(new.{name}"))
        };
        let changed = table.columns.iter().find(|column| {
            trigger.fills(&column.target.name) && !only_for_null(&column.target.name)
        });
        if let Some(column) = changed {
            return Some(format!(
                "it also changes {}, which moves, and the target would hold other values than the source",
                printable(&column.target.name, 80)
            ));
        }
        let uses = |other: &&TableLayout| {
            let words = ["from", "join", "into", "update", "only"];
            let name = other.target.name.to_lowercase();
            let schema = other.schema.to_lowercase();
            let names = [
                name.clone(),
                format!("\"{name}\""),
                format!("{schema}.{name}"),
                format!("\"{schema}\".\"{name}\""),
            ];
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            words.iter().any(|word| has_words(&body, word, &names))
        };
        let used = self.tables.iter().find(uses)?;
        Some(format!(
            "it uses {}, which the load fills at the same time, in no order that it could rely on",
            printable(&used.target.name, 80)
        ))
    }
}

/// The text of a function in small letters, without comments, with single blanks.
pub(super) fn code(body: &str) -> String {
    let lines = body
        .lines()
        .map(|line| line.split("--").next().unwrap_or(line));
    let text: String = lines.collect::<Vec<_>>().join(" ");
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("/*") {
        kept.push_str(before);
        kept.push(' ');
        rest = after.split_once("*/").map_or("", |(_, rest)| rest);
    }
    kept.push_str(rest);
    let words: Vec<&str> = kept.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

/// Whether one of `next` follows a word in the text.
fn has_words(text: &str, word: &str, next: &[&str]) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '"');
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let Some(rest) = text[at + word.len()..].strip_prefix(' ') else {
            return false;
        };
        !before.is_some_and(is_part)
            && next.iter().any(|next| {
                rest.strip_prefix(next)
                    .is_some_and(|rest| *next == "'" || !rest.starts_with(is_part))
            })
    })
}

#[cfg(test)]
mod tests {
    use super::{code, fires, has_words};

    #[test]
    fn a_trigger_is_named_alone_or_with_its_table() {
        let fire = ["one".to_owned(), "a.two".to_owned()];
        assert!(fires(&fire, "b", "one"));
        assert!(fires(&fire, "a", "two"));
        assert!(!fires(&fire, "b", "two"));
    }

    #[test]
    fn words_count_outside_of_comments() {
        let body = code("BEGIN -- RETURN NULL\n /* from org */ RETURN\n  NEW; END");
        assert!(!has_words(&body, "return", &["null"]));
        assert!(!has_words(&body, "from", &["org"]));
        assert!(has_words(&code("SELECT 1 FROM  org;"), "from", &["org"]));
        assert!(!has_words(&code("FROM organisations"), "from", &["org"]));
    }
}
