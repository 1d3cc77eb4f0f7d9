//! What the target's own code asks for the values of keys: defaults, triggers, and the functions that they call. PostgreSQL keeps no record
//! of what stands in a function, so its text has to tell; where that does not tell either, the key is a problem of the plan's. Pure.

use crate::postgres::catalogue::{Catalogue, Function};
use crate::runbook::transfer::Transfer;
use crate::text::printable;
use crate::transfer::layout::unfilled::{filler, next_id};
use crate::transfer::layout::{ColumnLayout, Layout, TableLayout, fire, structural};

/// What stands in code that makes values by chance or by the clock, of the rows that are there, or of who asks: none of them counts.
const SAFE: &[&str] = &[
    "random",
    "uuid",
    "ulid",
    "nanoid",
    "now()",
    "_timestamp",
    "timeofday",
    "xact_id",
    "txid_",
    "max(",
    "current_setting",
    "_user",
];

/// What the code behind the columns that move asks.
pub(super) struct Asked<'c> {
    /// Free sequences by name, each with the source's table and column that it numbers.
    pub sequences: Vec<(&'c str, String, String)>,
    /// Keys by the source's table and column, with what makes their values, nobody knows of what.
    pub untraced: Vec<(String, String, String)>,
    /// Some code asks a sequence, and does not tell which.
    pub by_unknown_name: bool,
}

/// A piece of code with that of all functions that it calls.
struct Code<'c> {
    /// Itself, then the functions, in the order in which they are met.
    texts: Vec<&'c str>,
    /// One of the functions may give another value each time.
    volatile: bool,
}

impl<'c> Code<'c> {
    fn new(start: &'c str, functions: &'c [Function]) -> Self {
        let mut code = Self {
            texts: vec![start],
            volatile: false,
        };
        let mut known = vec![false; functions.len()];
        let mut at = 0;
        while at < code.texts.len() {
            let text = code.texts[at].to_lowercase();
            for (known, function) in known.iter_mut().zip(functions) {
                if !*known && calls(&text, &function.name.to_lowercase()) {
                    *known = true;
                    code.texts.push(function.text.as_str());
                    code.volatile |= function.volatile;
                }
            }
            at += 1;
        }
        code
    }

    /// The free sequence that it asks for a number, where it names just one.
    fn sequence<'t>(&self, target: &'t Catalogue) -> Option<&'t str> {
        let mut each = self.texts.iter();
        each.find_map(|text| sequence_in(text, target))
            .or_else(|| sequence_in(&self.texts.join("\n"), target))
    }

    /// All of it in small letters, without comments.
    fn plain(&self) -> String {
        fire::code(&self.texts.join("\n"))
    }

    fn asks_a_sequence(&self) -> bool {
        self.plain().contains("nextval")
    }

    /// Whether, as a default, it may give a value that is there: it counts by something that the import does not set, or, where the value is a
    /// key `alone`, nobody can tell what it does.
    fn may_repeat(&self, alone: bool) -> bool {
        let plain = self.plain();
        let calls_own = self.texts.len() > 1;
        plain.contains("nextval")
            || calls_own && writes(&plain)
            || alone && self.volatile && !SAFE.iter().any(|word| plain.contains(word))
    }

    /// Whether, as a trigger, it counts by something that the import does not set. Most triggers make a value of others of the row.
    fn counts(&self) -> bool {
        let plain = self.plain();
        plain.contains("nextval") || writes(&plain) && plain.contains("returning")
    }
}

impl Layout {
    /// What the triggers and defaults of columns that move ask for a value.
    pub(super) fn asked_by_code<'c>(&self, target: &'c Catalogue) -> Asked<'c> {
        let mut asked = Asked {
            sequences: Vec::new(),
            untraced: Vec::new(),
            by_unknown_name: false,
        };
        for table in &self.tables {
            for column in &table.columns {
                self.look_at_code(table, column, target, &mut asked);
            }
        }
        asked
    }

    fn look_at_code<'c>(
        &self,
        table: &TableLayout,
        column: &ColumnLayout,
        target: &'c Catalogue,
        asked: &mut Asked<'c>,
    ) {
        let place = (table.target.oid, column.target.number);
        let is_stated = self.is_numbered(place.0, place.1);
        let names = || {
            (
                table.source.name.clone(),
                table.source_name(column).to_owned(),
            )
        };
        let default = column.target.expression.as_deref();
        let default = default.map(|text| (Code::new(text, &target.functions), None));
        let trigger = filler(&table.target, &column.target.name)
            .map(|trigger| (Code::new(&trigger.body, &target.functions), Some(trigger)));
        for (code, trigger) in default.into_iter().chain(trigger) {
            if is_stated {
                continue;
            }
            if let Some(sequence) = code.sequence(target) {
                let (table, column) = names();
                asked.sequences.push((sequence, table, column));
                continue;
            }
            if target.numbered.contains(&place) {
                continue;
            }
            asked.by_unknown_name |= code.asks_a_sequence();
            let (repeats, by) = match trigger {
                Some(trigger) => (
                    code.counts(),
                    format!("the trigger {}", printable(&trigger.name, 80)),
                ),
                None => {
                    let text = column.target.expression.as_deref().unwrap_or_default();
                    (
                        code.may_repeat(is_key(table, column, true)),
                        format!("the default {}", printable(text, 200)),
                    )
                }
            };
            if repeats && is_key(table, column, false) {
                let (table, column) = names();
                asked.untraced.push((table, column, by));
            }
        }
    }

    /// Takes in keys whose next value nobody knows; accepted ones become notes.
    pub(super) fn weigh_untraced(
        &mut self,
        found: &[(String, String, String)],
        transfer: &Transfer,
    ) {
        for (table, column, by) in found {
            let accepted = next_id(table, column);
            let reason = format!(
                "{by} makes the value in a way that leads to no sequence which the import could set: what it counts by stays where it is, and the \
                 next insert into {} may meet a value that is there",
                printable(table, 80)
            );
            if transfer.accepts(&accepted) {
                let reason = format!("{reason} (accepted)");
                self.notes.push(structural(table, column, reason, None));
                continue;
            }
            let reason = format!(
                "{reason}; set it by hand (`after_import: [\"SELECT setval(…)\"]`, or an UPDATE of the table that it counts in) and say so by \
                 `accept: {}`",
                printable(&accepted, 160)
            );
            self.untraced.push(structural(table, column, reason, None));
        }
    }
}

/// Whether a value that is there stops an insert, be it `alone` or beside others.
fn is_key(table: &TableLayout, column: &ColumnLayout, alone: bool) -> bool {
    table.target.indexes.iter().any(|index| {
        let mut names = index.columns.iter().flatten();
        let fits = !alone || index.columns.len() == 1;
        index.unique && fits && names.any(|name| *name == column.target.name)
    })
}

/// Whether the code of any function asks this free sequence for a number.
pub(super) fn is_asked(sequence: &str, target: &Catalogue) -> bool {
    target.functions.iter().any(|function| {
        asks(&function.text) && is_named(&function.text, sequence, Some(&target.schema))
    })
}

fn asks(text: &str) -> bool {
    text.to_lowercase().contains("nextval")
}

fn sequence_in<'t>(code: &str, target: &'t Catalogue) -> Option<&'t str> {
    if !asks(code) {
        return None;
    }
    let here = target.free_sequences.iter();
    let here = here.filter(|sequence| is_named(code, sequence, Some(&target.schema)));
    let there = target.free_elsewhere.iter();
    let there = there.filter(|sequence| is_named(code, sequence, None));
    let mut named = here.chain(there);
    let first = named.next();
    first.filter(|_| named.next().is_none()).map(String::as_str)
}

/// Whether a piece of code names a sequence: bare or with this schema before it, where `schema` is said, else just as `name` is.
fn is_named(code: &str, name: &str, schema: Option<&str>) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        let unquoted = before.strip_suffix('"').unwrap_or(before);
        let is_meant = match (unquoted.strip_suffix('.'), schema) {
            (None, _) => true,
            (Some(qualifier), Some(schema)) => qualifier.trim_end_matches('"').ends_with(schema),
            (Some(_), None) => false,
        };
        is_meant && !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}

/// Whether a text calls the function of this name; both in small letters.
fn calls(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let rest = &text[at + name.len()..];
        let rest = rest.strip_prefix('"').unwrap_or(rest).trim_start();
        rest.starts_with('(') && !text[..at].ends_with(is_part)
    })
}

/// Whether a text in small letters changes rows.
fn writes(text: &str) -> bool {
    text.split(|c: char| !is_part(c))
        .any(|word| matches!(word, "update" | "insert"))
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::{Catalogue, Code, Function};

    fn function(name: &str, text: &str) -> Function {
        Function {
            name: name.to_owned(),
            text: text.to_owned(),
            volatile: true,
        }
    }

    fn target(functions: Vec<Function>) -> Catalogue {
        Catalogue {
            schema: "public".to_owned(),
            free_sequences: vec!["s1".to_owned()],
            free_elsewhere: vec!["util.s1".to_owned()],
            functions,
            ..Catalogue::default()
        }
    }

    #[test]
    fn a_sequence_is_found_through_functions_that_call_functions() {
        let target = target(vec![
            function("next_id", "begin return nextval('s1'); end"),
            function("wrap", "begin return Next_Id(); end"),
            function("far", "select nextval('util.s1')"),
            function("shown", "SELECT nextval('public.s1'::regclass)"),
        ]);
        let sequence = |text| Code::new(text, &target.functions).sequence(&target);
        assert_eq!(sequence("wrap()"), Some("s1"));
        assert_eq!(sequence("util.far()"), Some("util.s1"));
        assert_eq!(sequence("shown()"), Some("s1"));
        assert_eq!(sequence("unwrap()"), None);
    }

    #[test]
    fn what_counts_by_something_unknown_may_repeat() {
        let target = target(vec![
            function("counted", "UPDATE ids SET n = n + 1 RETURNING n"),
            function("built", "BEGIN RETURN nextval(t || '_seq'); END"),
            function("by_chance", "SELECT md5(random()::text)"),
            function("highest", "SELECT max(id) + 1 FROM a"),
            function("unknown", "SELECT 4"),
        ]);
        let repeats = |text| Code::new(text, &target.functions).may_repeat(true);
        assert!(repeats("counted()"));
        assert!(repeats("built('a'::text)"));
        assert!(repeats("unknown()"));
        assert!(!repeats("by_chance()"));
        assert!(!repeats("highest()"));
        assert!(!repeats("gen_random_uuid()"));
        assert!(!repeats("'insert'::text"));
        let beside = |text| Code::new(text, &target.functions).may_repeat(false);
        assert!(beside("counted()"));
        assert!(!beside("unknown()"));
    }
}
