//! Whether the import that the target has on record has ended: until then keys, indexes and triggers may be away that it took away itself,
//! and rows that are equal say nothing of what the target lets in.
//!
//! A target that has no such record was filled by others, and nothing is said of it.

use super::super::error::Error;
use super::super::pair::literal;
use super::super::report::Check;
use super::super::sides::Sides;
use crate::text::printable;

/// What the check is called.
const NAME: &str = "import ended";
/// What `accept:` calls a record that the role may not read.
const UNREADABLE: &str = "record of the import";
/// Objects that the verdict's line names; its examples name all.
const NAMED: usize = 10;

/// By these columns the tables are known as the record of an import. Whether the role may read them stands beside it.
const READABLE: &str = "
    SELECT count(*), coalesce(bool_and(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')), false)
      FROM (VALUES ('import', 'target_schema'), ('import', 'finished'), ('import', 'began'), ('task', 'done'),
                   ('definition', 'state'), ('definition', 'table_name')) AS known(of_table, of_column)
      JOIN pg_namespace n ON n.nspname = 'cutover'
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = known.of_table
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = known.of_column AND NOT a.attisdropped";
/// How many of them [`READABLE`] finds where there is a record.
const KNOWN_COLUMNS: &str = "6";

/// Imports into the schema, with how many parts of their rows are in.
const IMPORTS: &str = "
    SELECT to_char(i.began AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), i.finished IS NOT NULL,
           (SELECT count(*) FROM cutover.task t WHERE t.import = i.key AND t.done), (SELECT count(*) FROM cutover.task t WHERE t.import = i.key)
      FROM cutover.import i WHERE i.target_schema = $schema ORDER BY i.began";

/// What is not back as it was: of imports into the schema, and of others that took it from a table of the schema.
const AWAY: &str = "
    SELECT d.kind, d.table_name, d.name, d.state
      FROM cutover.definition d JOIN cutover.import i ON i.key = d.import
     WHERE d.state IN ('away', 'unproven')
       AND (i.target_schema = $schema OR EXISTS (
              SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = d.table_oid AND n.nspname = $schema))
     ORDER BY i.began, d.number";

/// One verdict where an import is on record, none where there is none: red until it has ended and all that it took away is back.
pub async fn import_ended(sides: &Sides, id: &str) -> Result<Vec<Check>, Error> {
    let doing = "looking whether the import has ended";
    let verdict = |ok, detail: String, examples| {
        vec![Check {
            id: id.to_owned(),
            name: NAME.to_owned(),
            ok,
            detail,
            examples,
        }]
    };
    match record(sides, doing).await? {
        Record::None => return Ok(Vec::new()),
        Record::Unreadable if sides.transfer.accepts(UNREADABLE) => {
            let told = format!("{UNREADABLE} cannot be read (accepted)");
            return Ok(verdict(true, told, Vec::new()));
        }
        Record::Unreadable => {
            let why = format!(
                "the target has a record of an import (schema cutover) that this role may not read, so that nobody knows whether it has ended: \
                 connect as the role that imported, GRANT USAGE ON SCHEMA cutover and SELECT ON ALL TABLES IN SCHEMA cutover, or accept it \
                 by `accept: {UNREADABLE}`"
            );
            return Ok(verdict(false, why, Vec::new()));
        }
        Record::There => {}
    }
    let schema = literal(&sides.schema);
    let imports = sides
        .ask(doing, &IMPORTS.replace("$schema", &schema))
        .await?;
    let away = sides.ask(doing, &AWAY.replace("$schema", &schema)).await?;
    let away: Vec<String> = away.iter().map(|row| not_back(row)).collect();
    let open: Vec<String> = imports.iter().filter_map(|row| not_ended(row)).collect();
    Ok(
        match (imports.as_slice(), open.first().map(String::as_str)) {
            ([], _) if away.is_empty() => Vec::new(),
            (_, None) if away.is_empty() => verdict(
                true,
                "it has ended, and everything that it took away for the load was put back"
                    .to_owned(),
                away,
            ),
            (_, open) => verdict(false, unfinished(open, &away), away),
        },
    )
}

/// What there is to read.
enum Record {
    /// Nobody has imported, or not by this program.
    None,
    /// There is one, and the role may not read it.
    Unreadable,
    There,
}

async fn record(sides: &Sides, doing: &str) -> Result<Record, Error> {
    let rows = sides.ask(doing, READABLE).await?;
    Ok(match rows.first().map(Vec::as_slice) {
        Some([Some(columns), Some(may)]) if columns == KNOWN_COLUMNS && may == "t" => Record::There,
        Some([Some(columns), _]) if columns == KNOWN_COLUMNS => Record::Unreadable,
        _ => Record::None,
    })
}

fn text(row: &[Option<String>], at: usize) -> &str {
    row.get(at).and_then(Option::as_deref).unwrap_or_default()
}

/// How far an import is that has not ended.
fn not_ended(row: &[Option<String>]) -> Option<String> {
    let (began, is_finished) = (text(row, 0), text(row, 1) == "t");
    let (done, all) = (text(row, 2), text(row, 3));
    let rows = if done == all {
        "all rows are in".to_owned()
    } else {
        format!("{done} of {all} parts of the rows are in")
    };
    (!is_finished).then(|| format!("the import that began {began} UTC has not ended ({rows})"))
}

/// What is not back, in words.
fn not_back(row: &[Option<String>]) -> String {
    let (kind, table, name) = (text(row, 0), text(row, 1), text(row, 2));
    let (table, name) = (printable(table, 80), printable(name, 80));
    match kind {
        "row_security" => format!("forced row security of {table} is off"),
        "trigger" => format!("trigger {name} of {table} is switched off"),
        "foreign" if text(row, 3) == "unproven" => {
            format!("foreign key {name} of {table} is back, its rows not yet proven")
        }
        "foreign" => format!("foreign key {name} of {table} is away"),
        "key" => format!("key {name} of {table} is away"),
        _ => format!("index {name} of {table} is away"),
    }
}

fn unfinished(open: Option<&str>, away: &[String]) -> String {
    let what = open.unwrap_or("an import has not put everything back");
    let mut named = away.iter().take(NAMED).cloned().collect::<Vec<_>>();
    if away.len() > NAMED {
        named.push(format!("and {} more", away.len() - NAMED));
    }
    let of_away = if named.is_empty() {
        "nothing that it took away is away now, but its sequences and its end are not on record"
            .to_owned()
    } else {
        named.join("; ")
    };
    format!(
        "{what}: {of_away}. `cutover copy` again (in a session D2) goes on with it and puts back what it took away"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<Option<String>> {
        cells.iter().map(|cell| Some((*cell).to_owned())).collect()
    }

    #[test]
    fn everything_that_is_away_is_named_and_what_to_do() {
        let away: Vec<String> = [
            row(&["trigger", "t", "stamp", "away"]),
            row(&["row_security", "t", "t", "away"]),
            row(&["foreign", "t", "of_u", "unproven"]),
            row(&["foreign", "t", "of_v", "away"]),
            row(&["key", "t", "t_pkey", "away"]),
            row(&["index", "t", "t_live", "away"]),
        ]
        .iter()
        .map(|row| not_back(row))
        .collect();
        let open = not_ended(&row(&["2026-01-02 03:04:05", "f", "2", "3"]));
        let told = unfinished(open.as_deref(), &away);
        assert_eq!(
            told,
            "the import that began 2026-01-02 03:04:05 UTC has not ended (2 of 3 parts of the rows are in): trigger stamp of t is switched off; \
             forced row security of t is off; foreign key of_u of t is back, its rows not yet proven; foreign key of_v of t is away; \
             key t_pkey of t is away; index t_live of t is away. `cutover copy` again (in a session D2) goes on with it and puts back what it \
             took away"
        );
        assert_eq!(
            not_ended(&row(&["2026-01-02 03:04:05", "t", "3", "3"])),
            None
        );
        let many = vec!["index i of t is away".to_owned(); 12];
        assert!(unfinished(open.as_deref(), &many).contains("; and 2 more. `cutover copy`"));
    }
}
