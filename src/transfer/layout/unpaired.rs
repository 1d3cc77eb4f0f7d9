//! Source tables and columns without a partner in the target, or with one of a type that nothing converts into: which name is likely meant, and
//! what remains to be said where none is.

use crate::postgres::catalogue::{self, BaseType, Catalogue};
use crate::runbook::transfer::names::{column_key, part};
use crate::sqlite::schema;
use crate::text::printable;
use crate::transfer::layout::{Layout, exclude, structural};
use crate::transfer::matching::{self, How, Unmatched, folded};

/// What [`matching::pair`] said of one name.
type Paired<'t> = Result<(&'t str, How), Unmatched>;

/// For each source table that has no partner, the target table that is likely meant: by its name, and by its columns where the name
/// alone does not tell. No target is meant twice.
pub(super) fn partners<'t>(
    sources: &[&schema::Table],
    pairs: &[Paired<'t>],
    unfilled: &[&'t str],
    target: &Catalogue,
) -> Vec<Option<&'t str>> {
    let likely = |table: &schema::Table| {
        let likely = matching::likely(&table.name, unfilled)?;
        let partner = target.table(likely.name)?;
        (likely.sure || fits(table, partner)).then_some(likely.name)
    };
    let found: Vec<Option<&str>> = sources
        .iter()
        .zip(pairs)
        .map(|(table, pair)| open(pair).then(|| likely(table)).flatten())
        .collect();
    once(found)
}

/// For each column of `names` without a partner, the column that is likely meant.
pub(super) fn columns<'t>(
    names: &[&str],
    pairs: &[Paired<'_>],
    target: &'t catalogue::Table,
) -> Vec<Option<&'t str>> {
    let filled: Vec<&str> = pairs.iter().flatten().map(|(name, _)| *name).collect();
    let unfilled: Vec<&str> = target
        .columns
        .iter()
        .filter(|column| !column.generated && !filled.contains(&column.name.as_str()))
        .map(|column| column.name.as_str())
        .collect();
    let found = names.iter().zip(pairs).map(|(name, pair)| {
        let likely = open(pair).then(|| matching::likely(name, &unfilled));
        likely.flatten().map(|likely| likely.name)
    });
    once(found.collect())
}

/// Whether a column holds what PostgreSQL's full-text search made of a text.
pub(super) fn is_search_vector(column: &catalogue::Column) -> bool {
    matches!(&column.ty.base, BaseType::Named { schema, name } if schema == "pg_catalog" && name == "tsvector")
}

/// The tables whose triggers fill a full-text table, in words.
fn filled_by(source: &schema::Schema, name: &str) -> Option<String> {
    let tables = source.filled.get(name)?;
    let shown: Vec<String> = tables.iter().map(|table| printable(table, 80)).collect();
    Some(shown.join(", "))
}

/// What can be done about a full-text table with a text of its own for which the target has a table; `is_index`, where that is a search index too.
pub(super) fn full_text(source: &schema::Schema, name: &str, is_index: bool) -> String {
    const AS_ORDINARY: &str = "make an ordinary table of it in a copy of the source (CREATE TABLE … AS SELECT rowid AS id, … FROM …) and state its \
                               name under `rename:`";
    match filled_by(source, name) {
        _ if is_index => "a full-text table of SQLite, and the target's table of that name is a search index too (tsvector): leave it behind, \
                          and let the application build its search index anew on PostgreSQL, or fill it by `after_import:` with to_tsvector(…) of what \
                          moves"
            .to_owned(),
        Some(tables) => format!(
            "a full-text table of SQLite that is filled by triggers of {tables}, and the target has an ordinary table of that name: leave it behind \
             where the target fills that from {tables} as well, or `after_import:` does; otherwise {AS_ORDINARY}"
        ),
        None => format!(
            "a full-text table of SQLite that holds the only copy of its text, and the target has an ordinary table of that name: {AS_ORDINARY}"
        ),
    }
}

/// Why a full-text table with a text of its own stays behind where the target has no table for it.
pub(super) fn full_text_behind(source: &schema::Schema, name: &str) -> String {
    match filled_by(source, name) {
        Some(tables) => format!(
            "a full-text table that is filled by triggers of {tables}; nothing is lost with it, and PostgreSQL gets a search of its own over what moves"
        ),
        None => "a full-text table that holds the only copy of its text; where the application still needs that, make an ordinary table of it first"
            .to_owned(),
    }
}

/// What can be done about a partner of a type that nothing converts into. A search vector is not the text that it is made of: a cast would take
/// each word as it is written for a lexeme, and colons and quotation marks for its syntax, so that searches find nothing.
pub(super) fn no_conversion(target: &catalogue::Column) -> String {
    let shown = printable(&target.ty.shown, 80);
    let column = crate::postgres::quoted(&target.name);
    if !is_search_vector(target) {
        return format!(
            "there is no conversion into {shown}: in the target, ALTER COLUMN {column} TYPE text lets it move as text, and after `verify`, \
             ALTER COLUMN {column} TYPE {shown} USING {column}::{shown} lets PostgreSQL read it"
        );
    }
    let room = if target.not_null && !target.has_default {
        format!(
            " (rows arrive without it: ALTER COLUMN {column} SET DEFAULT '' in the target first)"
        )
    } else {
        String::new()
    };
    format!(
        "a text is not the {shown} that a search configuration makes of it: leave it behind, and let the application build its search index anew \
         on PostgreSQL, or do it by `after_import:`, UPDATE … SET {column} = to_tsvector(…){room}"
    )
}

/// Whether a suggestion would help: somebody who stated a name means it.
fn open(pair: &Paired<'_>) -> bool {
    matches!(pair, Err(Unmatched::Missing | Unmatched::TooLong(_)))
}

/// What several mean is nobody's.
fn once(found: Vec<Option<&str>>) -> Vec<Option<&str>> {
    let count = |name: &str| {
        found
            .iter()
            .flatten()
            .filter(|other| **other == name)
            .count()
    };
    found
        .iter()
        .map(|name| name.filter(|name| count(name) == 1))
        .collect()
}

/// Whether at least half of the source's columns have a counterpart by name.
fn fits(source: &schema::Table, target: &catalogue::Table) -> bool {
    let there: Vec<String> = target.columns.iter().map(|c| folded(&c.name)).collect();
    let met = source
        .columns
        .iter()
        .filter(|column| there.contains(&folded(&column.name)));
    met.count() * 2 >= source.columns.len()
}

impl Layout {
    pub(super) fn unpaired_table(
        &mut self,
        table: &schema::Table,
        reason: &Unmatched,
        likely: Option<&str>,
    ) {
        let policy = match likely {
            Some(likely) => self.wish_name(part(&table.name), likely),
            None => exclude(&table.name, None),
        };
        let reason = meant(reason, likely);
        self.problems
            .push(structural(&table.name, "", reason, policy));
    }

    pub(super) fn unpaired_column(
        &mut self,
        table: &schema::Table,
        column: &str,
        reason: &Unmatched,
        likely: Option<&str>,
    ) {
        let policy = match likely {
            Some(likely) => self.wish_name(column_key(&table.name, column), likely),
            None => exclude(&table.name, Some(column)),
        };
        let reason = meant(reason, likely);
        self.problems
            .push(structural(&table.name, column, reason, policy));
    }

    fn wish_name(&mut self, from: String, to: &str) -> Option<String> {
        let policy = format!("rename: {{ {from}: {to} }}");
        self.wishes.rename.insert(from, to.to_owned());
        Some(policy)
    }
}

fn meant(reason: &Unmatched, likely: Option<&str>) -> String {
    match likely {
        Some(likely) => format!(
            "{reason} by this name; {} is there, and nothing else fills it",
            printable(likely, 80)
        ),
        None => reason.to_string(),
    }
}
