//! What only the server can judge: checks, and unique keys whose equality the conversion or the target's collation changes.
//!
//! The columns concerned go into a temporary table inside a transaction that is rolled back; then the rules are asked as queries. A
//! key that the source already guards, over values that stay distinct, is not asked again.

use std::path::Path;
use std::pin::pin;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio::sync::mpsc;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::source::schema::TextEncoding;
use crate::target::catalogue::{ConstraintKind, Index};
use crate::target::quoted;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::convert::Class;
use crate::transfer::error::{read, server, server_message};
use crate::transfer::kind::Kind;
use crate::transfer::layout::{TableLayout, structural};
use crate::transfer::plan::scan::{LISTED_PER_COLUMN, Scanned, open};
use crate::transfer::plan::{Problem, RowKey};
use crate::transfer::pump::{CHUNKS_IN_FLIGHT, Chunker, Closed};
use crate::transfer::reader::{Cursor, Reader, Span};
use crate::transfer::rows::{COPY_HEADER, COPY_TRAILER, Encoder};

/// One rule of the server's, as a query over the probe table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Question {
    /// The constraint or index.
    name: String,
    /// Source column to report; empty when several or none.
    column: String,
    /// Yields the place of each row at fault, its key, and the key of the row it collides with.
    sql: String,
    /// What is wrong with such a row.
    reason: String,
}

/// What the server said about one table.
#[derive(Debug, Default)]
pub struct Probed {
    /// Rows at fault.
    pub problems: Vec<Problem>,
    /// Rules that could not be asked.
    pub notes: Vec<Problem>,
}

/// Asks the server about one table. `scanned` tells which keys can be skipped; without it, all are asked.
pub async fn probe(
    client: &Client,
    source: &Path,
    table: &TableLayout,
    encoding: TextEncoding,
    scanned: Option<&Scanned>,
    cancel: &CancellationToken,
) -> Result<Probed, Error> {
    let (questions, columns) = questions(table, scanned);
    if questions.is_empty() {
        return Ok(Probed::default());
    }
    client
        .batch_execute("BEGIN")
        .await
        .map_err(server("probing"))?;
    let probed = ask(
        client, source, table, encoding, &questions, &columns, cancel,
    )
    .await;
    let rolled_back = client
        .batch_execute("ROLLBACK")
        .await
        .map_err(server("ending the probe"));
    let probed = probed?;
    rolled_back?;
    Ok(probed)
}

#[allow(clippy::too_many_arguments)]
async fn ask(
    client: &Client,
    source: &Path,
    table: &TableLayout,
    encoding: TextEncoding,
    questions: &[Question],
    columns: &[usize],
    cancel: &CancellationToken,
) -> Result<Probed, Error> {
    let name = &table.source.name;
    let doing = || format!("probing {}", printable(name, 80));
    fill(client, source, table, encoding, columns, cancel).await?;
    let mut probed = Probed::default();
    for question in questions {
        client
            .batch_execute("SAVEPOINT question")
            .await
            .map_err(server(doing()))?;
        match client.query(&question.sql, &[]).await {
            Ok(rows) => {
                for row in rows {
                    let (place, key, other): (i64, String, Option<String>) =
                        (row.get(0), row.get(1), row.get(2));
                    let rowid = if key.is_empty() {
                        RowKey::Rowid(place)
                    } else {
                        RowKey::Key(key)
                    };
                    let reason = match other {
                        Some(other) => format!("{} as row {other}", question.reason),
                        None => question.reason.clone(),
                    };
                    probed.problems.push(Problem {
                        table: name.clone(),
                        column: question.column.clone(),
                        rowid,
                        value: String::new(),
                        reason,
                        policy: None,
                    });
                }
            }
            Err(error) if error.as_db_error().is_some() => {
                client
                    .batch_execute("ROLLBACK TO SAVEPOINT question")
                    .await
                    .map_err(server(doing()))?;
                let reason = format!(
                    "{} could not be asked beforehand: {}",
                    printable(&question.name, 80),
                    server_message(&error)
                );
                probed
                    .notes
                    .push(structural(name, &question.column, reason, None));
            }
            Err(error) => return Err(server(doing())(error)),
        }
    }
    Ok(probed)
}

/// Makes the temporary table `cutover_probe` of the present transaction and sends these columns (places among the moving ones) into
/// it, converted as the load converts them, with each row's place and key before them. Rows that do not convert are left out.
pub async fn fill(
    client: &Client,
    source: &Path,
    table: &TableLayout,
    encoding: TextEncoding,
    columns: &[usize],
    cancel: &CancellationToken,
) -> Result<(), Error> {
    let doing = || format!("probing {}", printable(&table.source.name, 80));
    // The types below the domains, whose own checks would stop the load at the first row.
    let column = |place: &usize| {
        let column = &table.columns[*place].target;
        let collation = column
            .collation
            .as_ref()
            .map(|name| format!(" COLLATE {name}"))
            .unwrap_or_default();
        format!(
            ", {} {}{collation}",
            quoted(&column.name),
            column.ty.base_shown
        )
    };
    let create = format!(
        "CREATE TEMPORARY TABLE cutover_probe (\"cutover place\" bigint, \"cutover key\" text{}) ON COMMIT DROP",
        columns.iter().map(column).collect::<String>()
    );
    client
        .batch_execute(&create)
        .await
        .map_err(server(doing()))?;
    load(client, source, table, encoding, columns, cancel).await
}

/// Sends the columns, with the row's place and key before them.
async fn load(
    client: &Client,
    source: &Path,
    table: &TableLayout,
    encoding: TextEncoding,
    columns: &[usize],
    cancel: &CancellationToken,
) -> Result<(), Error> {
    let narrow = TableLayout {
        columns: columns
            .iter()
            .map(|place| table.columns[*place].clone())
            .collect(),
        ..table.clone()
    };
    let (sender, mut receiver) = mpsc::channel::<Bytes>(CHUNKS_IN_FLIGHT);
    let (path, cancelled) = (source.to_path_buf(), cancel.clone());
    let reading =
        tokio::task::spawn_blocking(move || produce(&path, &narrow, encoding, sender, &cancelled));
    let doing = || format!("probing {}", printable(&table.source.name, 80));
    let sink = client
        .copy_in::<_, Bytes>("COPY pg_temp.cutover_probe FROM STDIN (FORMAT binary)")
        .await
        .map_err(server(doing()))?;
    let mut sink = pin!(sink);
    while let Some(chunk) = receiver.recv().await {
        sink.send(chunk).await.map_err(server(doing()))?;
    }
    let sent = reading.await.expect("BUG: the probe's reader panicked")?;
    let counted = sink.finish().await.map_err(server(doing()))?;
    if sent != counted {
        return Err(Error::Count {
            table: table.source.name.clone(),
            sent,
            counted,
        });
    }
    Ok(())
}

/// Reads and encodes; rows with problems of their own are left out, the scan has named them.
fn produce(
    source: &Path,
    table: &TableLayout,
    encoding: TextEncoding,
    sender: mpsc::Sender<Bytes>,
    cancel: &CancellationToken,
) -> Result<u64, Error> {
    let name = &table.source.name;
    let connection = open(source)?;
    let columns: Vec<usize> = table.columns.iter().map(|column| column.source).collect();
    let reader = Reader::new(&table.source, &columns, encoding);
    let mut statement = reader
        .prepare(&connection, Span::ALL, &Cursor::Start)
        .map_err(read(source, name))?;
    let mut rows = statement.raw_query();
    let mut encoder = Encoder::new(table, None);
    let mut chunker = Chunker::new(|chunk| sender.blocking_send(chunk).map_err(|_| Closed));
    chunker.buffer().extend_from_slice(COPY_HEADER);
    let (mut scratch, mut splices, mut fields) = (Vec::new(), Vec::new(), Vec::new());
    let (mut ordinal, mut sent) = (0, 0);
    // Closed: the server's side failed and says why itself.
    while let Some(row) = rows.next().map_err(read(source, name))? {
        ordinal += 1;
        let row = reader
            .row(row, ordinal, &mut scratch)
            .map_err(read(source, name))?;
        fields.clear();
        splices.clear();
        let outcome = encoder.row(&row, &mut fields, &mut splices);
        encoder.problems.clear();
        encoder.quarantined.clear();
        if outcome != crate::transfer::rows::Outcome::Encoded {
            continue;
        }
        if ordinal % 4096 == 0 && cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let buffer = chunker.buffer();
        let start = buffer.len();
        let (place, key) = match row.key() {
            RowKey::Rowid(rowid) => (rowid, String::new()),
            RowKey::Key(key) => (ordinal as i64, key),
            RowKey::None => (ordinal as i64, String::new()),
        };
        buffer.extend_from_slice(&(table.columns.len() as i16 + 2).to_be_bytes());
        buffer.extend_from_slice(&8i32.to_be_bytes());
        buffer.extend_from_slice(&place.to_be_bytes());
        buffer.extend_from_slice(&(key.len() as i32).to_be_bytes());
        buffer.extend_from_slice(key.as_bytes());
        let shift = buffer.len() - 2;
        buffer.extend_from_slice(&fields[2..]);
        splices.iter_mut().for_each(|splice| splice.at += shift);
        sent += 1;
        if chunker.row_done(start, &row, &splices).is_err() {
            return Ok(sent);
        }
    }
    chunker.buffer().extend_from_slice(&COPY_TRAILER);
    let _ = chunker.flush();
    Ok(sent)
}

/// The rules worth asking, and the columns (places among the moving ones) that they need.
fn questions(table: &TableLayout, scanned: Option<&Scanned>) -> (Vec<Question>, Vec<usize>) {
    let mut questions = Vec::new();
    let mut needed: Vec<usize> = Vec::new();
    let mut need = |places: Vec<usize>| needed.extend(places);
    for check in table
        .target
        .constraints
        .iter()
        .filter(|constraint| constraint.kind == ConstraintKind::Check)
    {
        if let (Some(expression), Some(places)) = (&check.expression, places(table, &check.columns))
        {
            questions.push(refused_by(
                table,
                &places,
                &check.name,
                "the check",
                expression,
            ));
            need(places);
        }
    }
    for (place, column) in table.columns.iter().enumerate() {
        for check in &column.target.ty.domain_checks {
            let expression = with_value(&check.expression, &quoted(&column.target.name));
            questions.push(refused_by(
                table,
                &[place],
                &check.name,
                "the domain's check",
                &expression,
            ));
            need(vec![place]);
        }
    }
    for index in table.target.indexes.iter().filter(|index| index.unique) {
        if is_guarded(table, index, scanned) {
            continue;
        }
        let names: Option<Vec<String>> = index.columns.iter().cloned().collect();
        let plain = names
            .filter(|_| index.predicate.is_none())
            .and_then(|names| places(table, &names));
        // An expression or a predicate may read any column.
        let needs = plain
            .clone()
            .unwrap_or_else(|| (0..table.columns.len()).collect());
        questions.push(collides(table, index, &plain.unwrap_or_default()));
        need(needs);
    }
    for index in &table.target.indexes {
        if !may_be_too_long(table, index, scanned) {
            continue;
        }
        let names: Vec<String> = index.columns.iter().flatten().cloned().collect();
        if let Some(places) = places(table, &names) {
            questions.push(too_long(table, index, &places));
            let all = || (0..table.columns.len()).collect();
            need(index.predicate.as_ref().map_or(places, |_| all()));
        }
    }
    needed.sort_unstable();
    needed.dedup();
    (questions, needed)
}

/// What a btree takes of one entry, its header of eight bytes included.
const INDEX_ROW_BYTES: u64 = 2704;

/// Whether some entry of this index may be too long for it; by the longest values, where a scan has seen them.
pub fn may_be_too_long(table: &TableLayout, index: &Index, scanned: Option<&Scanned>) -> bool {
    let names: Vec<&String> = index.columns.iter().flatten().collect();
    if names.len() != index.columns.len() || !index.definition.contains(" USING btree ") {
        return false;
    }
    let column = |place: usize| match table.columns[place].converter.kind {
        Kind::Text(_) | Kind::Char(_) | Kind::Bytea | Kind::Jsonb | Kind::Array { .. } => scanned
            .and_then(|scanned| scanned.looks.get(place))
            .map_or(INDEX_ROW_BYTES, |look| look.largest),
        _ => 16,
    };
    let places = table.columns.iter().enumerate();
    let keyed = places.filter(|(_, column)| names.contains(&&column.target.name));
    let longest: u64 = keyed.map(|(place, _)| column(place)).sum();
    longest + 8 * names.len() as u64 + 8 > INDEX_ROW_BYTES
}

/// The probe table has compressed its values as the index would.
fn too_long(table: &TableLayout, index: &Index, places: &[usize]) -> Question {
    let sizes: Vec<String> = index
        .expressions
        .iter()
        .map(|key| format!("coalesce(pg_column_size({key}), 0)"))
        .collect();
    let covered = index
        .predicate
        .iter()
        .map(|predicate| format!(" AND ({predicate})"));
    Question {
        name: index.name.clone(),
        column: reported(table, places),
        sql: format!(
            "SELECT \"cutover place\", \"cutover key\", NULL::text FROM pg_temp.cutover_probe
             WHERE 8 + {} > {INDEX_ROW_BYTES}{} ORDER BY 1 LIMIT {LISTED_PER_COLUMN}",
            sizes.join(" + "),
            covered.collect::<String>()
        ),
        reason: format!(
            "longer than the {INDEX_ROW_BYTES} bytes that the index {} can take, compressed",
            printable(&index.name, 80)
        ),
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

fn reported(table: &TableLayout, places: &[usize]) -> String {
    match places {
        [first, ..] => table.source_name(&table.columns[*first]).to_owned(),
        [] => String::new(),
    }
}

fn refused_by(
    table: &TableLayout,
    places: &[usize],
    name: &str,
    what: &str,
    expression: &str,
) -> Question {
    Question {
        name: name.to_owned(),
        column: reported(table, places),
        sql: format!(
            "SELECT \"cutover place\", \"cutover key\", NULL::text FROM pg_temp.cutover_probe WHERE NOT ({expression}) ORDER BY 1 LIMIT {LISTED_PER_COLUMN}"
        ),
        reason: format!("refused by {what} {}", printable(name, 80)),
    }
}

fn collides(table: &TableLayout, index: &Index, places: &[usize]) -> Question {
    let keys = index.expressions.join(", ");
    let not_null = index
        .expressions
        .iter()
        .map(|key| format!("({key}) IS NOT NULL"));
    let mut conditions: Vec<String> = if index.nulls_not_distinct {
        Vec::new()
    } else {
        not_null.collect()
    };
    conditions.extend(
        index
            .predicate
            .iter()
            .map(|predicate| format!("({predicate})")),
    );
    let condition = if conditions.is_empty() {
        "true".to_owned()
    } else {
        conditions.join(" AND ")
    };
    Question {
        name: index.name.clone(),
        column: reported(table, places),
        sql: format!(
            "SELECT p, k, first FROM (
               SELECT \"cutover place\" AS p, \"cutover key\" AS k, row_number() OVER w AS n,
                      first_value(CASE WHEN \"cutover key\" = '' THEN \"cutover place\"::text ELSE \"cutover key\" END) OVER w AS first
               FROM pg_temp.cutover_probe WHERE {condition} WINDOW w AS (PARTITION BY {keys} ORDER BY \"cutover place\")) AS numbered
             WHERE n > 1 ORDER BY p LIMIT {LISTED_PER_COLUMN}"
        ),
        reason: format!("the same under the target's unique {}", printable(&index.name, 80)),
    }
}

/// Whether the source already keeps these values apart and the conversion leaves them apart.
fn is_guarded(table: &TableLayout, index: &Index, scanned: Option<&Scanned>) -> bool {
    let Some(scanned) = scanned else { return false };
    let names: Option<Vec<String>> = index.columns.iter().cloned().collect();
    let Some(places) = names
        .filter(|_| !index.nulls_not_distinct)
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
        _ => Class::Text,
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
fn with_value(expression: &str, column: &str) -> String {
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
