//! Which settings of a column lose something: a row that stays behind, a value that becomes NULL, is cut or replaced. The one place for that
//! rule. Not in here: the settings themselves ([`super::policy`]), and when one is suggested (`transfer::plan`).

use super::{ColumnPolicy, Replacement};

/// Settings by which every value arrives as it was meant.
const ARRIVES: [&str; 19] = [
    "epoch",
    "offset",
    "boolean_words",
    "boolean_bytes",
    "guid_bytes",
    "guid_text",
    "unsigned",
    "negative_zero",
    "midnight",
    "far_years",
    "char_padding",
    "bytes",
    "jsonb_blob",
    "enum",
    "netmask",
    "zone",
    "since",
    "split",
    "duplicates",
];

/// A setting that loses something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    pub key: &'static str,
    /// What a draft has in its place: a `<…>` without what would end a plain scalar of YAML's flow style.
    pub open: &'static str,
    /// What it would lose.
    pub lost: &'static str,
}

impl ColumnPolicy {
    /// Those of its settings that lose something, in the order in which a runbook has them.
    pub fn losses(&self) -> Vec<Loss> {
        let pairs = self.pairs();
        let lost = pairs.iter().filter_map(|(key, value)| match *key {
            "values" => self.nulls(),
            key => loss(key, value),
        });
        lost.collect()
    }

    /// Values that `values:` makes NULL; another value, or a moment without an end, is what was meant.
    fn nulls(&self) -> Option<Loss> {
        let has_null = self.values.values().any(|by| *by == Replacement::Null);
        has_null.then_some(Loss {
            key: "values",
            open: "<what each of these values stands for; or mend them in SQLite>",
            lost: "values would become NULL",
        })
    }
}

/// What a setting of one word loses. One that nobody has classed is asked for.
fn loss(key: &'static str, value: &str) -> Option<Loss> {
    let (open, lost) = match (key, value) {
        ("on_problem", "refuse") | ("real", "shortest") => return None,
        (key, _) if ARRIVES.contains(&key) => return None,
        ("on_problem", "quarantine") => (ON_PROBLEM, "each whole row would stay behind"),
        ("on_problem", _) => (ON_PROBLEM, "each value would become NULL"),
        ("fraction", _) => (
            "<truncate or round; each loses digits of a second>",
            "digits of a second would be lost",
        ),
        ("scale", _) => (
            "<round or truncate; each loses decimal places>",
            "decimal places would be lost",
        ),
        ("real", _) => (
            "<nearest loses digits; or widen the column in PostgreSQL>",
            "digits would be lost",
        ),
        ("time", _) => (
            "<drop loses the time of day; or mend it in SQLite>",
            "the time of day would be lost",
        ),
        ("nul", _) => (
            "<strip loses the NUL characters; or mend it in SQLite>",
            "NUL characters would be lost",
        ),
        ("invalid_utf8", _) => (
            "<replace loses the bytes that are no UTF-8; or mend it in SQLite>",
            "bytes that are no UTF-8 would be replaced",
        ),
        ("null", _) => (
            "<default puts the target's default for NULL; or mend it in SQLite>",
            "NULL would be replaced",
        ),
        (_, _) => (
            "<what may be lost; or mend it in SQLite>",
            "something may be lost",
        ),
    };
    Some(Loss { key, open, lost })
}

const ON_PROBLEM: &str =
    "<\"null\" loses the value; quarantine the whole row; or mend it in SQLite>";

#[cfg(test)]
mod tests {
    use crate::runbook::transfer::{ColumnPolicy, POLICY_KEYS, Replacement};

    #[test]
    fn what_loses_something_is_known() {
        let mut losing = Vec::new();
        for (key, values) in POLICY_KEYS {
            for value in *values {
                let mut policy = ColumnPolicy::default();
                policy.set(key, value).expect("a known setting");
                let losses = policy.losses();
                assert!(losses.iter().all(|loss| loss.key == *key), "{losses:?}");
                let open = losses.iter().map(|loss| loss.open);
                for open in open {
                    assert_ne!(open, "<what may be lost; or mend it in SQLite>", "{key}");
                    losing.push(format!("{key}: {value}"));
                }
            }
        }
        let wanted = [
            "fraction: truncate",
            "fraction: round",
            "real: nearest",
            "scale: round",
            "scale: truncate",
            "nul: strip",
            "invalid_utf8: replace",
            "null: default",
            "time: drop",
            "on_problem: quarantine",
            "on_problem: null",
        ];
        assert_eq!(losing, wanted);
    }

    #[test]
    fn a_value_that_stands_for_another_arrives_and_one_that_becomes_null_does_not() {
        let mut policy = ColumnPolicy::default();
        policy.replace("Active", Replacement::Value("active".to_owned()));
        policy.replace("9999-12-31", Replacement::Infinity);
        assert!(policy.losses().is_empty());
        policy.replace("", Replacement::Null);
        let keys: Vec<&str> = policy.losses().iter().map(|loss| loss.key).collect();
        assert_eq!(keys, ["values"]);
    }
}
