//! Which of the target's rules cannot be broken by rows that the source has kept apart already, or whose values are short. Pure.

use crate::postgres::catalogue::Index;
use crate::transfer::convert::Class;
use crate::transfer::kind::Kind;
use crate::transfer::layout::TableLayout;
use crate::transfer::plan::scan::Scanned;

/// What a btree takes of one entry, its header of eight bytes included.
pub(super) const INDEX_ROW_BYTES: u64 = 2704;

/// Whether entries of an index may be too long for it, and how that can be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// All are short.
    Short,
    /// The sizes of its columns tell.
    Measured,
    /// Only the index itself tells: it computes its keys, carries further columns, or takes values apart.
    Tried,
}

/// Whether some entry of this index may be too long for it; by the longest values, where a scan has seen them.
pub(super) fn may_be_too_long(
    table: &TableLayout,
    index: &Index,
    scanned: Option<&Scanned>,
) -> Length {
    // An index by hash holds no values. One that calls the application's functions cannot be made with the search path that they need.
    if index.definition.contains(" USING hash ") || index.calls_functions {
        return Length::Short;
    }
    let column = |place: usize| match table.columns[place].converter.kind {
        Kind::Text(_)
        | Kind::Char(_)
        | Kind::Bytea
        | Kind::Json
        | Kind::Jsonb
        | Kind::Array { .. } => scanned
            .and_then(|scanned| scanned.looks.get(place))
            .map_or(INDEX_ROW_BYTES, |look| look.largest),
        Kind::Int2
        | Kind::Int4
        | Kind::Int8
        | Kind::Oid
        | Kind::Numeric(_)
        | Kind::Float4
        | Kind::Float8
        | Kind::Bool
        | Kind::Uuid
        | Kind::Date
        | Kind::Time(_)
        | Kind::Timestamp(_)
        | Kind::TimestampTz(_)
        | Kind::Interval(_)
        | Kind::Inet
        | Kind::Cidr
        | Kind::Enum(_)
        | Kind::Bit { .. }
        | Kind::Unsupported => 16,
    };
    let computed = |name: &String| table.target.column(name).is_some_and(|c| c.generated);
    let reads_computed = index.reads.iter().any(computed);
    let places = table.columns.iter().enumerate();
    let read =
        places.filter(|(_, column)| reads_computed || index.reads.contains(&column.target.name));
    let longest: u64 = read.map(|(place, _)| column(place)).sum();
    if longest + 8 * index.reads.len() as u64 + 8 <= INDEX_ROW_BYTES {
        return Length::Short;
    }
    let keys: Option<Vec<&String>> = index.columns.iter().map(Option::as_ref).collect();
    let moves = |name: &&String| table.columns.iter().any(|c| c.target.name == **name);
    let is_plain = keys.is_some_and(|keys| keys.iter().all(moves));
    let carries = index.definition.contains(" INCLUDE (");
    if is_plain && !carries && index.definition.contains(" USING btree ") {
        Length::Measured
    } else {
        Length::Tried
    }
}

/// Places of target columns among the moving ones; None when one does not move.
fn places(table: &TableLayout, names: &[String]) -> Option<Vec<usize>> {
    names
        .iter()
        .map(|name| {
            table
                .columns
                .iter()
                .position(|column| column.target.name == *name)
        })
        .collect()
}

/// Whether the source already keeps these values apart and the conversion leaves them apart.
pub(super) fn is_guarded(table: &TableLayout, index: &Index, scanned: Option<&Scanned>) -> bool {
    let Some(scanned) = scanned else { return false };
    let names: Option<Vec<String>> = index.columns.iter().cloned().collect();
    let Some(places) = names
        .filter(|_| !index.nulls_not_distinct && !index.folds)
        .and_then(|names| places(table, &names))
    else {
        return false;
    };
    let sources: Vec<usize> = places
        .iter()
        .map(|place| table.columns[*place].source)
        .collect();
    let by_rowid = table
        .source
        .rowid_column()
        .into_iter()
        .map(|column| vec![column]);
    let by_key = table
        .source
        .unique_keys
        .iter()
        .map(|key| key.columns.clone());
    by_rowid.chain(by_key).any(|key| {
        let covered: Option<Vec<usize>> = key
            .iter()
            .map(|column| {
                sources
                    .iter()
                    .position(|source| source == column)
                    .map(|at| places[at])
            })
            .collect();
        covered.is_some_and(|covered| {
            covered
                .iter()
                .all(|place| stays_distinct(table, *place, scanned))
        })
    })
}

fn stays_distinct(table: &TableLayout, place: usize, scanned: &Scanned) -> bool {
    let column = &table.columns[place];
    let native = match column.converter.kind {
        Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Oid | Kind::Bool => Class::Integer,
        Kind::Float8 => Class::Real,
        Kind::Bytea => Class::Blob,
        Kind::Numeric(_)
        | Kind::Float4
        | Kind::Text(_)
        | Kind::Char(_)
        | Kind::Uuid
        | Kind::Date
        | Kind::Time(_)
        | Kind::Timestamp(_)
        | Kind::TimestampTz(_)
        | Kind::Interval(_)
        | Kind::Json
        | Kind::Jsonb
        | Kind::Inet
        | Kind::Cidr
        | Kind::Enum(_)
        | Kind::Bit { .. }
        | Kind::Array { .. }
        | Kind::Unsupported => Class::Text,
    };
    let changed = scanned
        .uses
        .keys()
        .any(|policy| policy.starts_with(&format!("{}: ", table.source_name(column))));
    let native_only = scanned
        .looks
        .get(place)
        .is_none_or(|look| look.only(native));
    column.converter.kind.keeps_distinct() && native_only && !column.target.folds && !changed
}

/// A domain's expression with the column for the word VALUE, outside of quotes.
pub(super) fn with_value(expression: &str, column: &str) -> String {
    let mut out = String::with_capacity(expression.len() + column.len());
    let mut quote = None;
    let mut word = String::new();
    let flush = |word: &mut String, out: &mut String| {
        out.push_str(if word == "VALUE" { column } else { word });
        word.clear();
    };
    for c in expression.chars() {
        if quote.is_none() && (c.is_alphanumeric() || c == '_') {
            word.push(c);
            continue;
        }
        flush(&mut word, &mut out);
        match quote {
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
        out.push(c);
    }
    flush(&mut word, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::with_value;

    #[test]
    fn only_the_bare_word_is_the_value() {
        assert_eq!(with_value("(VALUE > 0)", "\"A\""), "(\"A\" > 0)");
        assert_eq!(
            with_value("((VALUE)::text <> 'VALUE'::text)", "c"),
            "((c)::text <> 'VALUE'::text)"
        );
        assert_eq!(
            with_value("(x.VALUE_2 = \"VALUE\")", "c"),
            "(x.VALUE_2 = \"VALUE\")"
        );
    }
}
