//! Whether every sequence of the target has a next number beyond those that the source gave out.

use std::collections::BTreeMap;
use std::path::Path;

use tokio_postgres::Client;

use crate::postgres::catalogue::around::NUMBERED_BY;
use crate::postgres::sequences::form::Form;
use crate::postgres::sequences::{self, Aligned, Hindrance, Numbered};
use crate::runbook::transfer::Transfer;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::error::{read, server};
use crate::transfer::kind::Kind;
use crate::transfer::layout::unfilled::next_id;
use crate::transfer::layout::{Layout, TableLayout, structural};
use crate::transfer::plan::scan::{Scanned, open};
use crate::transfer::plan::{Plan, Problem};
use crate::transfer::session::application_path;

/// Sequences that the role may not read or set: the import could not leave them beyond the highest id.
pub(super) async fn closed(client: &Client, layout: &Layout) -> Result<Vec<Problem>, Error> {
    let moving: Vec<u32> = layout.tables.iter().map(|table| table.target.oid).collect();
    let stated: Vec<&str> = layout
        .sequences
        .iter()
        .map(|(name, ..)| name.as_str())
        .collect();
    let sql = format!(
        "SELECT DISTINCT format('%I.%I', n.nspname, s.relname), quote_ident(current_user),
                has_sequence_privilege(s.oid, 'SELECT') AND has_sequence_privilege(s.oid, 'UPDATE'),
                has_schema_privilege(n.oid, 'USAGE'), quote_ident(n.nspname)
           FROM pg_class s JOIN pg_namespace n ON n.oid = s.relnamespace LEFT JOIN ({NUMBERED_BY}) AS used ON used.sequence = s.oid
          WHERE s.relkind = 'S' AND NOT (has_sequence_privilege(s.oid, 'SELECT') AND has_sequence_privilege(s.oid, 'UPDATE')
                AND has_schema_privilege(n.oid, 'USAGE'))
            AND (used.relation = ANY ($1::oid[]) OR n.nspname = $2 AND s.relname = ANY ($3::text[])
                 OR n.nspname || '.' || s.relname = ANY ($3::text[]))
          ORDER BY 1"
    );
    let rows = client
        .query(&sql, &[&moving, &layout.schema, &stated])
        .await
        .map_err(server("looking at the rights on sequences"))?;
    let problem = |row: &tokio_postgres::Row| {
        let (sequence, user, schema): (&str, &str, &str) = (row.get(0), row.get(1), row.get(4));
        let (is_open, schema_is_open): (bool, bool) = (row.get(2), row.get(3));
        let grants = [
            (!schema_is_open).then(|| format!("GRANT USAGE ON SCHEMA {schema} TO {user}")),
            (!is_open)
                .then(|| format!("GRANT SELECT, USAGE, UPDATE ON SEQUENCE {sequence} TO {user}")),
        ];
        let grants: Vec<String> = grants.into_iter().flatten().collect();
        let reason = format!(
            "the role may not set the sequence {sequence} beyond the highest id: {}",
            grants.join("; ")
        );
        structural("", "", printable(&reason, 400), None)
    };
    Ok(rows.iter().map(problem).collect())
}

/// Adds problems for keys of tables with rows whose next value the target's own code makes, nobody knows of what.
pub(super) fn untraced(layout: &Layout, scanned: &[Scanned], plan: &mut Plan) {
    let has_rows = |problem: &&Problem| {
        let mut tables = layout.tables.iter().zip(scanned);
        tables.any(|(table, scanned)| table.source.name == problem.table && scanned.rows > 0)
    };
    let found = layout.untraced.iter().filter(has_rows);
    plan.problems.extend(found.cloned());
}

/// Adds problems for sequences that would have no next number, and notes for those of text keys.
pub(super) async fn judge(
    client: &Client,
    source: &Path,
    layout: &std::sync::Arc<Layout>,
    transfer: &Transfer,
    plan: &mut Plan,
) -> Result<(), Error> {
    let (path, shared) = (source.to_path_buf(), layout.clone());
    let numbered = tokio::task::spawn_blocking(move || numbered(&path, &shared))
        .await
        .expect("BUG: reading the numbers panicked")?;
    let found = sequences::foresee(client, &layout.schema, &numbered, &layout.sequences)
        .await
        .map_err(server("looking at the sequences"))?;
    note_others(client, layout, plan).await?;
    for sequence in found {
        if !sequence.proven {
            match exhausted(layout, &sequence, transfer) {
                Some(problem) => plan.problems.push(problem),
                None => plan.notes.push(at_bound(layout, &sequence)),
            }
        } else if sequence.of_text {
            let reason = format!(
                "the sequence {} numbers a text key; after the load it is set beyond the highest number in that text",
                printable(&sequence.sequence, 120)
            );
            plan.notes
                .push(structural(&sequence.table, &sequence.column, reason, None));
        }
    }
    Ok(())
}

/// Sequences of tables that stay as they are, and whose next number is taken already. Those that the role may not read are left alone: they
/// are no business of the import's.
async fn note_others(client: &Client, layout: &Layout, plan: &mut Plan) -> Result<(), Error> {
    let others: Vec<Numbered> = layout
        .others
        .iter()
        .map(|(table_oid, column_number)| Numbered {
            table_oid: *table_oid,
            column_number: *column_number,
            source_high: None,
            source_low: None,
        })
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    let doing = || server("looking at the sequences of other tables");
    let path = application_path(client, &layout.schema).await?;
    let set_path = format!("SET search_path = {path}");
    client.batch_execute(&set_path).await.map_err(doing())?;
    let looked = sequences::look(client, &layout.schema, &others).await;
    let reset_path = "SET search_path = ''";
    client.batch_execute(reset_path).await.map_err(doing())?;
    let looked = looked.map_err(doing())?;
    for sequence in looked.iter().filter(|sequence| !sequence.proven) {
        let reason = format!(
            "{} would give a number that is taken: the next insert into this table, which the target alone has, will fail; SELECT setval('{0}', {})",
            printable(&sequence.sequence, 120),
            sequence.max.unwrap_or_default()
        );
        plan.notes
            .push(structural(&sequence.table, &sequence.column, reason, None));
    }
    Ok(())
}

/// The columns that move, with the outermost numbers that SQLite gave out, those of rows that stay behind included.
pub(crate) fn numbered(source: &Path, layout: &Layout) -> Result<Vec<Numbered>, Error> {
    let connection = open(source)?;
    let kept = kept_by_stand_ins(&connection, source, layout)?;
    let mut all = Vec::new();
    for table in &layout.tables {
        for column in &table.columns {
            let name = crate::sqlite::schema::quoted(table.source_name(column));
            let is_rowid = Some(column.source) == table.source.rowid_column();
            let stated = (table.target.oid, column.target.number);
            let is_stated = layout
                .sequences
                .iter()
                .any(|(_, oid, number)| (*oid, *number) == stated);
            let asks_sequence = column
                .target
                .expression
                .as_ref()
                .is_some_and(|default| default.contains("nextval"));
            let outermost = |function: &str| {
                let sql = format!(
                    "SELECT {function}({name}) FROM {} NOT INDEXED{}",
                    crate::sqlite::schema::quoted(&table.source.name),
                    if is_rowid {
                        String::new()
                    } else {
                        format!(" WHERE typeof({name}) = 'integer'")
                    }
                );
                connection
                    .query_row(&sql, [], |row| row.get::<_, Option<i64>>(0))
                    .map_err(read(source, &table.source.name))
            };
            let numbered =
                is_rowid || is_stated || asks_sequence || column.target.identity.is_some();
            let is_text = matches!(column.converter.kind, Kind::Text(_) | Kind::Char(_));
            let (low, high) = if numbered && is_text {
                let default = column.target.expression.as_deref();
                (
                    None,
                    highest_in_text(&connection, source, table, &name, default)?,
                )
            } else if numbered {
                (outermost("min")?, outermost("max")?)
            } else {
                (None, None)
            };
            all.push(Numbered {
                table_oid: table.target.oid,
                column_number: column.target.number,
                source_high: high
                    .max(table.source_high.filter(|_| is_rowid))
                    .max(kept.get(&stated).copied()),
                source_low: low,
            });
        }
    }
    Ok(all)
}

/// The last number that tables in place of sequences have given out, by the columns that those sequences number.
fn kept_by_stand_ins(
    connection: &rusqlite::Connection,
    source: &Path,
    layout: &Layout,
) -> Result<BTreeMap<(u32, i16), i64>, Error> {
    let mut kept = BTreeMap::new();
    for one in &layout.stand_ins {
        let column = crate::sqlite::schema::quoted(&one.column);
        let sql = format!(
            "SELECT max({column}) FROM {} WHERE typeof({column}) = 'integer'",
            crate::sqlite::schema::quoted(&one.table)
        );
        let next = connection
            .query_row(&sql, [], |row| row.get::<_, Option<i64>>(0))
            .map_err(read(source, &one.table))?;
        let Some(last) = next.and_then(|next| next.checked_sub(1)) else {
            continue;
        };
        let numbered = layout.sequences.iter();
        for (_, oid, number) in numbered.filter(|(key, ..)| one.is_stated_as(key, &layout.schema)) {
            let known = kept.entry((*oid, *number)).or_insert(last);
            *known = last.max(*known);
        }
    }
    Ok(kept)
}

/// The highest number in the text of a source column, rows that stay behind included.
fn highest_in_text(
    connection: &rusqlite::Connection,
    source: &Path,
    table: &TableLayout,
    column: &str,
    default: Option<&str>,
) -> Result<Option<i64>, Error> {
    let Form::Text(affixes) = Form::of_text(default) else {
        return Ok(None);
    };
    let pattern = regex::Regex::new(&affixes.pattern()).expect("BUG: a pattern of escaped text");
    let failed = || read(source, &table.source.name);
    let sql = format!(
        "SELECT {column} FROM {} NOT INDEXED WHERE typeof({column}) IN ('text', 'integer')",
        crate::sqlite::schema::quoted(&table.source.name)
    );
    let mut statement = connection.prepare(&sql).map_err(failed())?;
    let mut rows = statement.query([]).map_err(failed())?;
    let mut highest = None;
    while let Some(row) = rows.next().map_err(failed())? {
        let value = row.get_ref(0).map_err(failed())?;
        let text = match value {
            rusqlite::types::ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            rusqlite::types::ValueRef::Integer(number) => number.to_string(),
            rusqlite::types::ValueRef::Null
            | rusqlite::types::ValueRef::Real(_)
            | rusqlite::types::ValueRef::Blob(_) => continue,
        };
        let number = pattern
            .captures(&text)
            .and_then(|found| found[1].parse().ok());
        highest = highest.max(number);
    }
    Ok(highest)
}

/// A sequence without a next number, unless that is accepted.
pub(crate) fn exhausted(
    layout: &Layout,
    sequence: &Aligned,
    transfer: &Transfer,
) -> Option<Problem> {
    let accepted = accept_name(layout, sequence);
    if transfer.accepts(&accepted) {
        return None;
    }
    let mut problem = at_bound(layout, sequence);
    let name = printable(&sequence.sequence, 120);
    let help = match &sequence.hindrance {
        None => format!(
            "give it room beforehand (ALTER SEQUENCE {name} AS bigint NO MAXVALUE; the column has to be bigint too)"
        ),
        Some(Hindrance::Refused(_)) => "make the column's type or its check wider".to_owned(),
        Some(Hindrance::Unread(_)) => {
            format!("set it by hand (`after_import: [\"SELECT setval('{name}', …)\"]`)")
        }
    };
    let or = match &sequence.hindrance {
        None | Some(Hindrance::Refused(_)) => ", or accept it by",
        Some(Hindrance::Unread(_)) => " and say so by",
    };
    problem.reason = format!(
        "{}; {help}{or} `accept: {}`",
        problem.reason,
        printable(&accepted, 160)
    );
    Some(problem)
}

fn at_bound(layout: &Layout, sequence: &Aligned) -> Problem {
    let (name, into) = (
        printable(&sequence.sequence, 120),
        printable(&sequence.table, 80),
    );
    let reason = match &sequence.hindrance {
        None => {
            format!("the sequence {name} is at its bound: the next insert into {into} would fail")
        }
        Some(Hindrance::Refused(why)) => format!(
            "the column cannot take the next number of the sequence {name}: the next insert into {into} would fail ({})",
            printable(why, 200)
        ),
        Some(Hindrance::Unread(default)) => format!(
            "the default {} makes the value in a way from which the number cannot be read back: the sequence {name} stays where it is, and the \
             next insert into {into} may meet a value that is there",
            printable(default, 200)
        ),
    };
    let (table, column) = source_names(layout, sequence);
    structural(&table, &column, reason, None)
}

fn accept_name(layout: &Layout, sequence: &Aligned) -> String {
    let (table, column) = source_names(layout, sequence);
    next_id(&table, &column)
}

/// The names that the source has for the column that a sequence numbers.
fn source_names(layout: &Layout, sequence: &Aligned) -> (String, String) {
    let of = |table: &&TableLayout| table.target.name == sequence.table;
    let found = layout.tables.iter().find(of).and_then(|table| {
        let mut columns = table.columns.iter();
        let column = columns.find(|column| column.target.name == sequence.column)?;
        Some((
            table.source.name.clone(),
            table.source_name(column).to_owned(),
        ))
    });
    found.unwrap_or_else(|| (sequence.table.clone(), sequence.column.clone()))
}
