//! Which names under `accept:` could be met by anything: `unique Orders(Number)`, `next id Orders(Id)`, `constraint NAME`. Pure.
//!
//! Whether the two schemas differ there is `layout`'s and `parity`'s to say.

use super::{Known, Stray, Table, Weight, nearest, stray};
use crate::runbook::transfer::names::{Case, SERVERS_OWN};
use crate::runbook::transfer::{KeyOf, Pattern, Transfer};

/// What `accept:` takes with a table and its columns behind it.
const PROMISES: &[&str] = &[
    "next id ",
    "primary key ",
    "unique ",
    "foreign key ",
    "index ",
    "check ",
    "exclusion ",
    "not null ",
];

/// What `accept:` takes as it is.
const WHOLE: &[&str] = &[
    "file without its wal",
    "search path",
    "record of the import",
];

pub(super) fn strays(transfer: &Transfer, known: &Known<'_>) -> Vec<Stray> {
    let strays = transfer.accept.iter().filter_map(|pattern| {
        let told = |hint: &str, weight: Weight| {
            let what = "is none of the names that `plan` and `verify` give";
            let key = pattern.as_str();
            stray(transfer, KeyOf::Accept, key, what, hint, weight)
        };
        match pattern.literal() {
            Some(name) => known
                .unaccepted(&name)
                .map(|hint| told(&hint, Weight::Import)),
            None => (!known.may_accept(pattern)).then(|| told("", Weight::Nothing)),
        }
    });
    strays.collect()
}

impl Known<'_> {
    /// What may have been meant by a name under `accept:` that none can be; none where it is one. What is gone by now may stay accepted, as long
    /// as the table and its columns are there.
    fn unaccepted(&self, name: &str) -> Option<String> {
        if WHOLE.iter().any(|whole| whole.eq_ignore_ascii_case(name)) {
            return None;
        }
        for (kind, names) in [
            ("constraint ", self.constraints.as_deref()),
            ("trigger ", self.triggers.as_deref()),
        ] {
            let Some(rest) = name.strip_prefix(kind) else {
                continue;
            };
            let names = names?;
            if names.contains(&rest) {
                return None;
            }
            let all: Vec<String> = names.iter().map(|name| format!("{kind}{name}")).collect();
            return Some(nearest(name, &all));
        }
        let of_kind = PROMISES
            .iter()
            .find_map(|kind| Some((*kind, after(name, kind)?)));
        let Some((kind, rest)) = of_kind else {
            let kinds = PROMISES.iter().chain(SERVERS_OWN);
            let kinds = kinds.map(|kind| kind.trim());
            let kinds: Vec<&str> = kinds.chain(WHOLE.iter().copied()).collect();
            return Some(format!("; it takes {}", kinds.join(", ")));
        };
        // An index whose words have changed goes by its own name, and nobody has read those.
        let is_own_name = kind == "index " && !rest.contains('(');
        let tables = || self.source.iter().chain(&self.target);
        if is_own_name || tables().any(|table| self.promises(table, rest)) {
            return None;
        }
        let candidates = self.source.iter().flat_map(|table| {
            let named = columns_within(table.name, rest).is_some();
            let said = rest.split_once('(').map_or(")", |(_, columns)| columns);
            let other = (!named).then(|| format!("{kind}{}({said}", table.name));
            let columns = table.columns.iter().filter(move |_| named);
            let own = columns.map(move |column| format!("{kind}{}({column})", table.name));
            other.into_iter().chain(own)
        });
        Some(nearest(name, &candidates.collect::<Vec<String>>()))
    }

    /// Whether a name's rest, `Table(A, B)`, is of this table and of columns that there are. Columns that the target alone has are called by
    /// their names there. Expressions and `WHERE` stand in the words of the server, in which no column is looked for.
    fn promises(&self, table: &Table<'_>, rest: &str) -> bool {
        let is_known =
            |column: &str| table.has(column) || self.target.iter().any(|t| t.has(column));
        let Some(inner) = after(rest, table.name).and_then(|rest| rest.strip_prefix('(')) else {
            return false;
        };
        let of_columns = inner.strip_suffix(')').is_some_and(|columns| {
            // An index may be over expressions alone.
            columns.is_empty() || is_known(columns) || columns.split(", ").all(is_known)
        });
        of_columns || inner.contains('(')
    }

    /// Whether a pattern under `accept:` could be met by something. Of columns nothing is asked.
    fn may_accept(&self, pattern: &Pattern) -> bool {
        let text = pattern.as_str();
        let head = text.split('*').next().unwrap_or_default();
        let begins = |kind: &str| after(kind, head).is_some();
        let is_own = |kind: &str, names: Option<&[&str]>| {
            let is_met = |name: &&str| pattern.matches(&format!("{kind}{name}"), Case::Kept);
            let is_of_kind = text.starts_with(kind);
            begins(kind) || (is_of_kind && names.is_none_or(|names| names.iter().any(is_met)))
        };
        let is_promised = |kind: &&str| {
            let Some(rest) = after(text, kind) else {
                return begins(kind);
            };
            let table = Pattern::new(rest.split('(').next().unwrap_or_default());
            let mut tables = self.source.iter().chain(&self.target);
            tables.any(|known| table.matches(known.name, Case::Ignored))
        };
        let mut whole = WHOLE.iter();
        whole.any(|whole| pattern.matches(whole, Case::Ignored))
            || is_own("constraint ", self.constraints.as_deref())
            || is_own("trigger ", self.triggers.as_deref())
            || PROMISES.iter().any(is_promised)
    }
}

/// What follows a beginning, whatever its letter case.
fn after<'t>(text: &'t str, beginning: &str) -> Option<&'t str> {
    let (head, rest) = text.split_at_checked(beginning.len())?;
    head.eq_ignore_ascii_case(beginning).then_some(rest)
}

/// The columns of `Table(A, B)`, where the table is this one.
fn columns_within<'t>(table: &str, rest: &'t str) -> Option<&'t str> {
    after(rest, table)?.strip_prefix('(')?.strip_suffix(')')
}
