//! What only the server can judge: checks, partitions, computed columns, exclusions, parents that the target alone has, and unique keys
//! whose equality the conversion or the target's collation changes.
//!
//! The columns concerned go into a temporary table inside a transaction that is rolled back; then the rules are asked as queries, with the
//! search path of the application's own sessions. What is asked is in [`questions`].

mod guard;
mod lacking;
mod questions;
pub mod recomputed;
pub mod references;
mod rules;

use std::collections::HashSet;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::SinkExt;
use tokio::sync::mpsc;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::sqlite::schema::TextEncoding;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::error::{read, server, server_message};
use crate::transfer::layout::{TableLayout, structural};
use crate::transfer::plan::consequences::Action;
use crate::transfer::plan::scan::{Scanned, open};
use crate::transfer::plan::{Problem, RowKey};
use crate::transfer::pump::{CHUNKS_IN_FLIGHT, Chunker, Closed};
use crate::transfer::reader::{Cursor, Reader, Span};
use crate::transfer::rows::{COPY_HEADER, COPY_TRAILER, Encoder, Foreseen};
use crate::transfer::session::application_path;

use questions::{Question, Questions};

/// What the server said about one table.
#[derive(Debug, Default)]
pub struct Probed {
    /// Rows at fault: all of them, for what hangs on them has to be found too.
    pub found: Vec<Found>,
    /// Rules that could not be asked.
    pub notes: Vec<Problem>,
    /// Rules that could not be asked for want of a right or a setting, without which the load fails by them too.
    pub lacking: Vec<Problem>,
    /// Rows were at fault by themselves, and which of the others collide was not asked yet.
    pub is_open: bool,
}

/// A row that a rule of the server's refuses.
#[derive(Debug, Clone)]
pub struct Found {
    /// The row, and the column that a policy is best put on.
    pub problem: Problem,
    /// The rule.
    pub rule: String,
    /// What is wrong with all such rows.
    pub reason: String,
    /// Source columns that the rule reads. Empty: every row gets the same.
    pub reads: Vec<String>,
    /// What is best done about it.
    pub wished: Action,
    /// What would mend the target.
    pub mend: String,
    /// It is at fault beside another row.
    pub of_several: bool,
}

/// Who asks.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// The target.
    pub client: &'a Client,
    /// The SQLite file.
    pub source: &'a Path,
    /// How it stores text.
    pub encoding: TextEncoding,
    /// Stops it.
    pub cancel: &'a CancellationToken,
}

/// Asks the server about one table. `scanned` tells which keys can be skipped; without it, all are asked. `fates` tells what is known not to
/// arrive. With `stops`, rows at fault by themselves are told first, before it is asked which of the others collide.
pub async fn probe(
    asker: Asker<'_>,
    table: &TableLayout,
    scanned: Option<&Scanned>,
    fates: &Arc<Foreseen>,
    stops: bool,
) -> Result<Probed, Error> {
    let asked = Questions::of(table, scanned);
    if asked.questions.is_empty() {
        return Ok(Probed::default());
    }
    begin(asker.client, &asked.schema).await?;
    let probed = ask(asker, table, &asked, fates, stops).await;
    let rolled_back = end(asker.client).await;
    let probed = probed?;
    rolled_back?;
    Ok(probed)
}

/// Opens a transaction with the search path of the application's own sessions.
async fn begin(client: &Client, schema: &str) -> Result<(), Error> {
    let path = application_path(client, schema).await?;
    client
        .batch_execute(&format!("BEGIN; SET LOCAL search_path = {path}"))
        .await
        .map_err(server("probing"))
}

/// Takes everything back.
async fn end(client: &Client) -> Result<(), Error> {
    client
        .batch_execute("ROLLBACK")
        .await
        .map_err(server("ending the probe"))
}

async fn ask(
    asker: Asker<'_>,
    table: &TableLayout,
    asked: &Questions,
    fates: &Arc<Foreseen>,
    stops: bool,
) -> Result<Probed, Error> {
    let doing = || format!("probing {}", printable(&table.source.name, 80));
    let client = asker.client;
    client
        .batch_execute(&asked.create)
        .await
        .map_err(server(doing()))?;
    load(asker, table, asked, fates).await?;
    client
        .batch_execute(&asked.ready)
        .await
        .map_err(server(doing()))?;
    let mut probed = Probed::default();
    for question in &asked.questions {
        if stops && question.of_several && !probed.found.is_empty() {
            probed.is_open = true;
            break;
        }
        put(client, table, question, &mut probed).await?;
    }
    Ok(probed)
}

/// Puts one question. Where the server cannot answer it for all rows together, each row is asked by itself, and those that cannot be
/// judged are at fault.
async fn put(
    client: &Client,
    table: &TableLayout,
    question: &Question,
    probed: &mut Probed,
) -> Result<(), Error> {
    let doing = || format!("probing {}", printable(&table.source.name, 80));
    let run =
        |sql: String| async move { client.batch_execute(&sql).await.map_err(server(doing())) };
    let mut failed = None;
    for attempt in 0..2 {
        run("SAVEPOINT question".to_owned()).await?;
        let answer = async {
            client.batch_execute(&question.before).await?;
            client.query(&question.sql, &[]).await
        };
        match answer.await {
            Ok(rows) => {
                run("RELEASE SAVEPOINT question".to_owned()).await?;
                let faults = rows.iter().map(|row| fault(row, question));
                take(table, question, faults.collect(), probed);
                return Ok(());
            }
            Err(error) if error.as_db_error().is_none() => return Err(server(doing())(error)),
            Err(error) => {
                run("ROLLBACK TO SAVEPOINT question".to_owned()).await?;
                let mended = lacking::mended_by(client, &error).await;
                failed = Some((server_message(&error), mended.map_err(server(doing()))?));
            }
        }
        if attempt == 0 && !one_by_one(client, table, question, probed).await? {
            break;
        }
    }
    let (why, mended) = failed.unwrap_or_default();
    let name = printable(&question.name, 80);
    let reason = format!("{name} could not be asked beforehand: {why}");
    let told = |reason: String| structural(&table.source.name, &question.column, reason, None);
    match mended {
        None => probed.notes.push(told(reason)),
        Some(statement) => probed.lacking.push(told(format!(
            "{reason}. The load would fail by the same; for the target: {}",
            printable(&statement, 300)
        ))),
    }
    Ok(())
}

/// A row at fault and the row it collides with.
struct AtFault {
    row: RowKey,
    reason: String,
    others: Vec<String>,
}

fn fault(row: &tokio_postgres::Row, question: &Question) -> AtFault {
    let (place, key, others): (Option<i64>, String, Vec<String>) =
        (row.get(0), row.get(1), row.get(2));
    let reason = match (question.pairwise, others.first()) {
        (false, Some(other)) => format!("{} {other}", question.reason),
        _ => question.reason.clone(),
    };
    AtFault {
        row: named(place, key),
        reason,
        others,
    }
}

fn named(place: Option<i64>, key: String) -> RowKey {
    match place {
        None => RowKey::None,
        Some(place) if key.is_empty() => RowKey::Rowid(place),
        Some(_) => RowKey::Key(key),
    }
}

/// Adds what a question found. Of rows that only collide with each other, the first stays.
fn take(table: &TableLayout, question: &Question, faults: Vec<AtFault>, probed: &mut Probed) {
    let mut out: HashSet<String> = HashSet::new();
    for AtFault {
        row,
        mut reason,
        others,
    } in faults
    {
        if question.pairwise {
            let Some(other) = others.iter().find(|other| !out.contains(*other)) else {
                continue;
            };
            reason = format!("{reason} {other}");
            out.insert(match &row {
                RowKey::Rowid(rowid) => format!("row {rowid}"),
                other => other.to_string(),
            });
        }
        let value = if row == RowKey::None {
            others.first().cloned().unwrap_or_default()
        } else {
            String::new()
        };
        probed.found.push(question.found(table, row, value, reason));
    }
}

impl Question {
    fn found(&self, table: &TableLayout, rowid: RowKey, value: String, reason: String) -> Found {
        let shared = self.reason.trim_end_matches(" as");
        Found {
            problem: Problem {
                table: table.source.name.clone(),
                column: self.column.clone(),
                rowid,
                value,
                reason,
                policy: None,
            },
            rule: self.name.clone(),
            reason: shared.trim_end_matches(" beside").to_owned(),
            reads: self.reads.clone(),
            wished: self.wished,
            mend: self.mend.clone(),
            of_several: self.of_several,
        }
    }
}

/// Evaluates the question's expressions row by row; whether rows were found that it fails for. These are reported and left out from then on.
/// A right or a function that is missing is no row's fault.
async fn one_by_one(
    client: &Client,
    table: &TableLayout,
    question: &Question,
    probed: &mut Probed,
) -> Result<bool, Error> {
    let doing = || format!("probing {} row by row", printable(&table.source.name, 80));
    let (prepare, judge) = match &question.index {
        Some(how) => (
            format!(
                "CREATE TEMPORARY TABLE cutover_tried (LIKE pg_temp.cutover_probe) ON COMMIT DROP;
                 CREATE INDEX ON pg_temp.cutover_tried USING {how};"
            ),
            "INSERT INTO pg_temp.cutover_tried SELECT * FROM pg_temp.cutover_probe WHERE ctid = one.at"
                .to_owned(),
        ),
        None => (
            String::new(),
            format!(
                "PERFORM {} FROM pg_temp.cutover_probe WHERE ctid = one.at",
                question.evaluated
            ),
        ),
    };
    let walk = format!(
        "CREATE TEMPORARY TABLE cutover_fault (place bigint, key text, why text) ON COMMIT DROP; {prepare}
         DO $cutover$ DECLARE one record; BEGIN
           FOR one IN SELECT ctid AS at, \"cutover place\" AS place, \"cutover key\" AS key FROM pg_temp.cutover_probe LOOP
             BEGIN {judge};
             EXCEPTION WHEN syntax_error_or_access_rule_violation THEN RAISE;
             WHEN OTHERS THEN INSERT INTO pg_temp.cutover_fault VALUES (one.place, one.key, SQLERRM); END;
           END LOOP; END $cutover$;
         DELETE FROM pg_temp.cutover_probe p USING pg_temp.cutover_fault f WHERE (p.\"cutover place\", p.\"cutover key\") = (f.place, f.key)"
    );
    let run =
        |sql: &'static str| async move { client.batch_execute(sql).await.map_err(server(doing())) };
    run("SAVEPOINT walk").await?;
    match client.batch_execute(&walk).await {
        Ok(()) => {}
        Err(error) if error.as_db_error().is_some() => {
            run("ROLLBACK TO SAVEPOINT walk").await?;
            return Ok(false);
        }
        Err(error) => return Err(server(doing())(error)),
    }
    let rows = client
        .query(
            "SELECT place, key, why FROM pg_temp.cutover_fault ORDER BY place",
            &[],
        )
        .await
        .map_err(server(doing()))?;
    run(
        "DROP TABLE IF EXISTS pg_temp.cutover_tried, pg_temp.cutover_fault; RELEASE SAVEPOINT walk",
    )
    .await?;
    for row in &rows {
        let why: String = row.get(2);
        let reason = format!(
            "{} fails on it: {}",
            printable(&question.name, 80),
            printable(&why, 200)
        );
        let row = named(row.get(0), row.get(1));
        let found = question.found(table, row, String::new(), reason);
        probed.found.push(found);
    }
    Ok(!rows.is_empty())
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
    let asked = Questions::of_columns(table, columns);
    let doing = format!("probing {}", printable(&table.source.name, 80));
    client
        .batch_execute(&asked.create)
        .await
        .map_err(server(doing))?;
    let asker = Asker {
        client,
        source,
        encoding,
        cancel,
    };
    load(asker, table, &asked, &Arc::default()).await
}

/// Sends the columns, with the row's place and key before them: what is known not to arrive is left out.
async fn load(
    asker: Asker<'_>,
    table: &TableLayout,
    asked: &Questions,
    fates: &Arc<Foreseen>,
) -> Result<(), Error> {
    let Asker {
        client,
        source,
        encoding,
        cancel,
    } = asker;
    let narrow = TableLayout {
        columns: asked
            .columns
            .iter()
            .map(|place| table.columns[*place].clone())
            .collect(),
        ..table.clone()
    };
    let (sender, mut receiver) = mpsc::channel::<Bytes>(CHUNKS_IN_FLIGHT);
    let (path, cancelled) = (source.to_path_buf(), cancel.clone());
    let fates = fates.clone();
    let reading = tokio::task::spawn_blocking(move || {
        produce(&path, &narrow, encoding, &fates, sender, &cancelled)
    });
    let doing = || format!("probing {}", printable(&table.source.name, 80));
    let sink = client
        .copy_in::<_, Bytes>(asked.copy.as_str())
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
    fates: &Foreseen,
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
    let mut encoder = Encoder::new(table, Some(fates));
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
