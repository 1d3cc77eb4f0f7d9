//! One table and its counterpart: which columns are compared with which, by what rule, and what the key is.

use super::equality::{Kind, Rule};
use super::snapshot::Snapshot;
use super::source_value::{Encoding, Fetch};
pub(crate) use crate::postgres::{literal, quoted};
use crate::runbook::transfer::OnProblem;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A table on both sides.
#[derive(Debug, Clone)]
pub(crate) struct TablePair {
    /// Name in the source.
    pub(crate) source: String,
    /// Schema in the target.
    pub(crate) schema: String,
    /// Name in the target.
    pub(crate) target: String,
    /// The columns that are compared, those of the key first.
    pub(crate) columns: Vec<ColumnPair>,
    /// How many columns form the key; zero for a table that is compared as a multiset.
    pub(crate) key_columns: usize,
    /// The name by which SQLite gives the rowid, unless the table has none or columns shadow all of its names.
    pub(crate) rowid: Option<&'static str>,
    /// Rows that the import has on record as put aside, where a policy let it; none where there is no such record.
    pub(crate) aside: Option<Arc<HashSet<String>>>,
    /// Columns of the source whose values the import has on record as made NULL, by row; none where there is no such record. By name, for
    /// a place among `columns` is another one where only some of them are compared.
    pub(crate) nulled: Option<Arc<HashMap<String, Vec<String>>>>,
    /// Columns by which a row of the source is known that has no rowid, compared or not; empty for one that has.
    pub(crate) source_key: Vec<String>,
    /// The target keeps values outside the rows: some may be too long for the text form.
    pub(crate) has_long_values: bool,
    /// The target computes some of its columns.
    pub(crate) has_computed: bool,
    /// How the source stores text.
    pub(crate) encoding: Encoding,
    /// Size of the target's table, for the order of work.
    pub(crate) size_bytes: u64,
    /// The target's rows are in its parts.
    pub(crate) is_partitioned: bool,
}

/// A column on both sides.
#[derive(Debug, Clone)]
pub(crate) struct ColumnPair {
    /// Name in the source.
    pub(crate) source: String,
    /// Name in the target.
    pub(crate) target: String,
    /// How values are compared.
    pub(crate) rule: Rule,
    /// Both sides compute it from other columns, and it is no part of the key. The target's own rule makes it right where those are equal.
    pub(crate) computed: bool,
}

impl TablePair {
    /// Whether the runbook lets the import put rows of this table aside.
    pub(crate) fn may_put_aside(&self) -> bool {
        self.columns
            .iter()
            .any(|column| column.rule.policy.on_problem == Some(OnProblem::Quarantine))
    }

    /// Whether the runbook lets the import make values of this table NULL.
    pub(crate) fn may_lose_values(&self) -> bool {
        self.columns
            .iter()
            .any(|column| column.rule.policy.on_problem == Some(OnProblem::Null))
    }

    /// Whether rows of the source have to be known one by one, because something is on record of some of them.
    pub(crate) fn has_record(&self) -> bool {
        self.aside.is_some()
            || self
                .nulled
                .as_ref()
                .is_some_and(|nulled| !nulled.is_empty())
    }

    /// The target's table, quoted, as it is read: without the rows of tables that inherit from it.
    pub(crate) fn target_sql(&self) -> String {
        let only = if self.is_partitioned { "" } else { "ONLY " };
        format!("{only}{}", self.target_name())
    }

    /// The target's table, quoted.
    pub(crate) fn target_name(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.target))
    }

    /// The source column's counterpart.
    pub(crate) fn column(&self, source: &str) -> Option<&ColumnPair> {
        let is = |column: &&ColumnPair| column.source.eq_ignore_ascii_case(source);
        self.columns.iter().find(is)
    }

    /// The rowid's name where a row of the source is known by it: because it has no key, may be on record as put aside, or has long
    /// values that are read apart.
    pub(crate) fn needed_rowid(&self) -> Option<&'static str> {
        self.rowid
            .filter(|_| self.key_columns == 0 || self.has_record() || self.has_pieces())
    }

    /// Whether long values of the source are read in pieces: where the target has long ones too, so that other tables do not pay
    /// for the question.
    pub(crate) fn has_pieces(&self) -> bool {
        self.has_long_values && self.rowid.is_some() && self.encoding == Encoding::Utf8
    }

    /// The columns by which a row of the source is known that may be on record, where it has no rowid.
    pub(crate) fn needed_key(&self) -> &[String] {
        match self.has_record() && self.needed_rowid().is_none() {
            true => &self.source_key,
            false => &[],
        }
    }

    /// What SQLite is asked: every column, then by what the row is known where that is needed. Never through an index, which may lie.
    pub(crate) fn source_select(&self) -> String {
        let fetched = |column: &ColumnPair| Fetch::of(self, column).sql(&column.source_sql());
        let mut columns: Vec<_> = self.columns.iter().map(fetched).collect();
        columns.extend(self.needed_rowid().map(str::to_owned));
        columns.extend(self.needed_key().iter().map(|name| quoted(name)));
        format!(
            "SELECT {} FROM {} NOT INDEXED",
            columns.join(", "),
            quoted(&self.source)
        )
    }

    /// What PostgreSQL is asked: every column, a long value by length and digest instead; with `since`, whether the row is newer.
    pub(crate) fn target_select(&self, since: Option<&Snapshot>) -> String {
        let mut columns = Vec::with_capacity(self.columns.len() + 1);
        for column in &self.columns {
            let name = quoted(&column.target);
            if self.has_long_values && column.rule.kind.may_be_large() {
                let (short, long) = short_and_long(&name, &column.rule.kind);
                columns.extend([short, long]);
            } else {
                columns.push(name);
            }
        }
        columns.extend(since.map(|snapshot| snapshot.new_row_sql("")));
        format!("SELECT {} FROM {}", columns.join(", "), self.target_sql())
    }

    /// The target's table with its columns, for `COPY` without a query; none where the table has parts or computed columns, which
    /// `COPY` would leave out or refuse, or values that may be too long.
    pub(crate) fn target_columns(&self) -> Option<String> {
        let names = self.columns.iter().map(|column| quoted(&column.target));
        let names: Vec<_> = names.collect();
        (!self.has_long_values && !self.has_computed)
            .then(|| format!("{} ({})", self.target_name(), names.join(", ")))
    }

    /// The same tables without what both sides compute, and with the key and nothing but that; where there is such a thing.
    pub(crate) fn stored_and_computed(&self) -> Option<(Self, Self)> {
        let (key, others) = self.columns.split_at(self.key_columns);
        let (computed, stored): (Vec<_>, Vec<_>) =
            others.iter().cloned().partition(|column| column.computed);
        if computed.is_empty() || (key.is_empty() && stored.is_empty()) {
            return None;
        }
        let of = |columns: Vec<ColumnPair>| Self {
            columns: key.iter().cloned().chain(columns).collect(),
            ..self.clone()
        };
        Some((of(stored), of(computed)))
    }

    /// The same tables with some of the columns, and those of the key, which stay in front. A column that is not compared is left
    /// out. Without `keep_key` there is no key and the columns come in the order asked for.
    pub(crate) fn narrowed(&self, sources: &[String], keep_key: bool) -> Self {
        let key = if keep_key {
            &self.columns[..self.key_columns]
        } else {
            &[]
        };
        let asked = sources.iter().filter_map(|name| self.column(name));
        let others = asked.filter(|column| !key.iter().any(|part| part.source == column.source));
        let columns: Vec<_> = key.iter().chain(others).cloned().collect();
        Self {
            columns,
            key_columns: key.len(),
            ..self.clone()
        }
    }
}

/// Two expressions of which exactly one is not NULL for a value that is not: the value, or its length and digest.
fn short_and_long(name: &str, kind: &Kind) -> (String, String) {
    let limit = super::canon::LARGE_BYTES;
    let bytes = match kind {
        Kind::Bytes => name.to_owned(),
        _ => format!("convert_to({name}::text, 'UTF8')"),
    };
    let short = format!("CASE WHEN octet_length({name}) <= {limit} THEN {name} END");
    let digest = format!("octet_length({name})::text || ':' || encode(sha256({bytes}), 'hex')");
    (
        short,
        format!("CASE WHEN octet_length({name}) > {limit} THEN {digest} END"),
    )
}

impl ColumnPair {
    /// The column as SQLite is asked for it.
    pub(crate) fn source_sql(&self) -> String {
        quoted(&self.source)
    }
}
