//! Rows of one table of the target by their keys, so that the server looks them up and reads no others.
//!
//! The server itself says how each key is spelled that it was asked for, as it spells those of rows. What it takes for equal may be
//! more than the checker does (`citext`): whoever asks goes by the canonical forms.

use super::Error;
use super::target_table::{TargetRow, TargetTable};
use crate::postgres::{literal, quoted};

/// A column of the key, as the catalogue has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyColumn {
    /// Its type, for a cast.
    pub(crate) type_sql: String,
    /// It holds no NULL.
    pub(crate) not_null: bool,
}

/// A key that was asked for, and a row that the server has for it.
pub(crate) struct Asked {
    pub(crate) key: TargetRow,
    /// The row, and where it lies; `None` where there is none. One key may have several.
    pub(crate) row: Option<(String, TargetRow)>,
}

impl TargetTable<'_> {
    /// Gives each of `keys`, texts in the order of the pair's key, with its rows to `each`. Few enough for one statement.
    pub(crate) fn by_key(
        &self,
        columns: &[KeyColumn],
        keys: &[Vec<Option<String>>],
        mut each: impl FnMut(Asked) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let sql = self.by_key_sql(columns, keys);
        let sql = self.search.sides.connector.over_rows(&sql);
        let (key_columns, width) = (columns.len(), self.pair.columns.len());
        self.stream(&sql, |answer| {
            let key = self.row(answer, 0, key_columns)?;
            let row = match answer.get(key_columns) {
                Some(place) => Some((place.to_owned(), self.row(answer, key_columns + 1, width)?)),
                None => None,
            };
            each(Asked { key, row })
        })
    }

    fn by_key_sql(&self, columns: &[KeyColumn], keys: &[Vec<Option<String>>]) -> String {
        let mut selected = Vec::new();
        let (mut given, mut names, mut conditions) = (Vec::new(), Vec::new(), Vec::new());
        for (at, column) in columns.iter().enumerate() {
            let part = |key: &Vec<Option<String>>| match key.get(at) {
                Some(Some(text)) => literal(text),
                Some(None) | None => "NULL".to_owned(),
            };
            let parts: Vec<String> = keys.iter().map(part).collect();
            given.push(format!("unnest(ARRAY[{}]::text[])", parts.join(", ")));
            names.push(format!("c{at}"));
            let asked = format!("CAST(k.c{at} AS {})", column.type_sql);
            let own = format!("t.{}", quoted(&self.pair.columns[at].target));
            conditions.push(match column.not_null {
                true => format!("{own} = {asked}"),
                false => format!("({own} = {asked} OR ({own} IS NULL AND k.c{at} IS NULL))"),
            });
            selected.push(asked);
        }
        selected.push("t.tableoid::text || t.ctid::text".to_owned());
        let own = self.pair.columns.iter();
        selected.extend(own.map(|column| format!("t.{}", quoted(&column.target))));
        format!(
            "SELECT {} FROM ROWS FROM ({}) AS k({}) LEFT JOIN {} AS t ON {}",
            selected.join(", "),
            given.join(", "),
            names.join(", "),
            self.pair.target_sql(),
            conditions.join(" AND ")
        )
    }
}
