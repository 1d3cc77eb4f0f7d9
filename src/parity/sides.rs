//! Both sides, opened together: the source read-only, the target in one read-only, repeatable-read transaction, and the tables that
//! are compared with each other.
//!
//! Every check and every comparison of one run sees the same moment of the target.

use super::equality::Rule;
use super::error::Error;
use super::pair::{ColumnPair, TablePair, literal};
use super::report::Skipped;
use super::schema::{self, SourceSchema, SourceTable, TargetTable};
use super::snapshot::Snapshot;
use crate::runbook::transfer::Transfer;
use crate::target::Endpoint;
use crate::text::printable;
use crate::transfer::matching;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_postgres::Client;

/// How the target is opened.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    /// `pg_current_snapshot()::text` as recorded at `F1`: rows that it does not see are new since the switch, and are set apart.
    pub since_snapshot: Option<String>,
    /// How long one statement may take on the target; none before the switch, some seconds in production.
    pub statement_limit_ms: Option<u32>,
    /// At most so many rows per second and connection are read from the target: for a target that is in production.
    pub rows_per_second: Option<u32>,
}

/// A source and a target, ready to be compared.
pub struct Sides {
    pub(crate) source: PathBuf,
    pub(crate) endpoint: Endpoint,
    pub(crate) schema: String,
    pub(crate) transfer: Transfer,
    pub(crate) opening: Opening,
    pub(crate) since: Option<Snapshot>,
    pub(crate) client: Client,
    pub(crate) source_schema: SourceSchema,
    pub(crate) pairs: Vec<Arc<TablePair>>,
    pub(crate) unpaired: Vec<Unpaired>,
    pub(crate) skipped: Vec<Skipped>,
}

/// A table of the source that cannot be compared.
#[derive(Debug, Clone)]
pub(crate) struct Unpaired {
    pub(crate) table: String,
    pub(crate) target: String,
    pub(crate) problem: String,
}

impl Sides {
    /// Opens both sides and pairs their tables and columns by name.
    ///
    /// # Errors
    /// The source or the target cannot be opened, or a schema cannot be read.
    pub async fn open(
        source: &Path,
        target: &Endpoint,
        schema: &str,
        transfer: &Transfer,
        opening: &Opening,
    ) -> Result<Self, Error> {
        let since = opening
            .since_snapshot
            .as_deref()
            .map(str::parse)
            .transpose()?;
        // The source first: a file that is not there is the more likely mistake, and the cheaper one to find.
        let source_schema = blocking(source, schema::source).await?;
        let client = connect(target).await?;
        let mut sides = Self {
            source: source.to_owned(),
            endpoint: target.clone(),
            schema: schema.to_owned(),
            transfer: transfer.clone(),
            opening: opening.clone(),
            since,
            client,
            source_schema,
            pairs: Vec::new(),
            unpaired: Vec::new(),
            skipped: Vec::new(),
        };
        sides.begin().await?;
        Ok(sides)
    }

    /// Lets go of the moment that was looked at, and takes the present one, on the same connection.
    ///
    /// # Errors
    /// As [`Sides::open`]; what is compared afterwards is undefined, and opening anew is the way on.
    pub async fn renew(&mut self) -> Result<(), Error> {
        let failed = |source| Error::Server {
            doing: "ending a read-only transaction".to_owned(),
            source,
        };
        self.client
            .batch_execute("ROLLBACK")
            .await
            .map_err(failed)?;
        self.source_schema = blocking(&self.source, schema::source).await?;
        self.begin().await
    }

    async fn begin(&mut self) -> Result<(), Error> {
        begin(&self.client, &self.opening, None).await?;
        let targets = schema::target(&self.client, &self.schema).await?;
        self.pairs.clear();
        self.unpaired.clear();
        self.skipped.clear();
        self.pair(&targets);
        Ok(())
    }

    /// Lets further connections see the same moment. Needs the first one to be idle.
    pub(crate) async fn share(&self) -> Result<String, Error> {
        let failed = |source| Error::Server {
            doing: "sharing the snapshot".to_owned(),
            source,
        };
        Ok(self
            .client
            .query_one("SELECT pg_export_snapshot()", &[])
            .await
            .map_err(failed)?
            .get(0))
    }

    /// A further connection to the target that sees the moment that was shared.
    pub(crate) async fn session(&self, shared: &str) -> Result<Client, Error> {
        let client = connect(&self.endpoint).await?;
        begin(&client, &self.opening, Some(shared)).await?;
        Ok(client)
    }

    /// Ends what a session does on the server, so that nobody waits for rows that nobody reads. Best effort: the server may be gone.
    pub(crate) async fn cancel_on_server(&self, client: &Client) {
        if let Err(error) = self.endpoint.cancel(&client.cancel_token()).await {
            tracing::debug!(%error, "the query could not be cancelled on the server");
        }
    }

    /// A further connection to the source.
    pub(crate) async fn on_source<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        blocking(&self.source, work).await
    }

    /// The pair of a table by its name in the source.
    pub(crate) fn table(&self, source: &str) -> Option<&Arc<TablePair>> {
        self.pairs.iter().find(|pair| pair.source == source)
    }

    fn pair(&mut self, targets: &[TargetTable]) {
        for (name, why) in &self.source_schema.others {
            self.skipped.push(Skipped {
                name: printable(name, 80),
                why: (*why).to_owned(),
            });
        }
        let (excluded, planned): (Vec<_>, Vec<_>) = self
            .source_schema
            .tables
            .iter()
            .partition(|table| self.transfer.excludes_table(&table.name));
        for table in excluded {
            self.skipped.push(Skipped {
                name: printable(&table.name, 80),
                why: "excluded by the transfer section".to_owned(),
            });
        }
        // One that is renamed is meant to be compared.
        let (history, planned): (Vec<_>, Vec<_>) = planned.into_iter().partition(|table| {
            matching::is_migration_history(&table.name)
                && self.transfer.renamed_table(&table.name).is_none()
        });
        for table in history {
            self.skipped.push(Skipped {
                name: printable(&table.name, 80),
                why: "migration history; the target keeps its own".to_owned(),
            });
        }
        let sources: Vec<_> = planned.iter().map(|table| table.name.as_str()).collect();
        let names: Vec<_> = targets.iter().map(|table| table.name.as_str()).collect();
        let found = matching::pair(&sources, &names, |name| {
            self.transfer.renamed_table(name).map(str::to_owned)
        });
        for (table, found) in planned.into_iter().zip(found) {
            let partner = found
                .map_err(|why| (String::new(), why.to_string()))
                .and_then(|(name, _)| {
                    let target = targets
                        .iter()
                        .find(|target| target.name == name)
                        .expect("BUG: matched a name that was not given");
                    pair_columns(table, target, &self.schema, &self.transfer)
                        .map_err(|problem| (name.to_owned(), problem))
                });
            match partner {
                Ok(pair) => self.pairs.push(Arc::new(pair)),
                Err((target, problem)) => self.unpaired.push(Unpaired {
                    table: table.name.clone(),
                    target,
                    problem,
                }),
            }
        }
    }
}

/// Pairs the columns of a table, the key's first.
fn pair_columns(
    source: &SourceTable,
    target: &TargetTable,
    schema: &str,
    transfer: &Transfer,
) -> Result<TablePair, String> {
    let planned: Vec<_> = source
        .columns
        .iter()
        .filter(|column| !transfer.excludes_column(&source.name, column))
        .map(String::as_str)
        .collect();
    let names: Vec<_> = target
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    let found = matching::pair(&planned, &names, |column| {
        transfer
            .renamed_column(&source.name, column)
            .map(str::to_owned)
    });
    let mut columns = Vec::new();
    let mut problems = Vec::new();
    for (column, found) in planned.iter().zip(found) {
        match found {
            Ok((name, _)) => {
                let partner = target
                    .columns
                    .iter()
                    .find(|column| column.name == name)
                    .expect("BUG: matched a name that was not given");
                let rule = Rule {
                    kind: partner.kind.clone(),
                    policy: transfer.column(&source.name, column),
                    zone: transfer.zone,
                };
                columns.push(ColumnPair {
                    source: (*column).to_owned(),
                    target: name.to_owned(),
                    rule,
                });
            }
            Err(why) => problems.push(format!("column {}: {why}", printable(column, 80))),
        }
    }
    if !problems.is_empty() {
        return Err(problems.join("; "));
    }
    if columns.is_empty() {
        return Err("no column to compare".to_owned());
    }
    let key_columns = bring_key_forward(&mut columns, source, target);
    Ok(TablePair {
        source: source.name.clone(),
        schema: schema.to_owned(),
        target: target.name.clone(),
        columns,
        key_columns,
        rowid: source.rowid,
        has_long_values: target.has_long_values,
        size_bytes: target.size_bytes,
    })
}

/// Puts the columns of the target's key, or else of the source's, to the front, if all of them are compared.
fn bring_key_forward(
    columns: &mut [ColumnPair],
    source: &SourceTable,
    target: &TargetTable,
) -> usize {
    let of_target =
        |key: &[String], columns: &[ColumnPair]| places(key, columns, |column| &column.target);
    let of_source =
        |key: &[String], columns: &[ColumnPair]| places(key, columns, |column| &column.source);
    let Some(key) = of_target(&target.key, columns).or_else(|| of_source(&source.key, columns))
    else {
        return 0;
    };
    columns.sort_by_key(|column| {
        key.iter()
            .position(|name| *name == column.source)
            .unwrap_or(usize::MAX)
    });
    key.len()
}

/// The source names of a key's columns, if there is a key and all of it is compared.
fn places(
    key: &[String],
    columns: &[ColumnPair],
    name: impl Fn(&ColumnPair) -> &String,
) -> Option<Vec<String>> {
    if key.is_empty() {
        return None;
    }
    key.iter()
        .map(|part| {
            columns
                .iter()
                .find(|column| name(column) == part)
                .map(|column| column.source.clone())
        })
        .collect()
}

/// Runs blocking work on a read-only connection to the source.
async fn blocking<T: Send + 'static>(
    source: &Path,
    work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let path = source.to_owned();
    let run = move || work(&crate::source::open_read_only(&path)?);
    tokio::task::spawn_blocking(run)
        .await
        .map_err(|died| Error::Died(died.to_string()))?
}

async fn connect(target: &Endpoint) -> Result<Client, Error> {
    target.connect().await.map_err(|source| Error::Connect {
        endpoint: target.redacted(),
        source,
    })
}

/// Begins a read-only transaction with every setting pinned that bears on what the server writes.
async fn begin(client: &Client, opening: &Opening, snapshot: Option<&str>) -> Result<(), Error> {
    let import = snapshot
        .map(|id| format!("SET TRANSACTION SNAPSHOT {};", literal(id)))
        .unwrap_or_default();
    let begin = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {import}
         SET LOCAL TimeZone = 'UTC';
         SET LOCAL DateStyle = 'ISO, YMD';
         SET LOCAL IntervalStyle = 'iso_8601';
         SET LOCAL bytea_output = 'hex';
         SET LOCAL extra_float_digits = 1;
         SET LOCAL client_encoding = 'UTF8';
         SET LOCAL standard_conforming_strings = on;
         SET LOCAL lc_monetary = 'C';
         SET LOCAL lc_numeric = 'C';
         SET LOCAL row_security = off;
         SET LOCAL search_path = pg_catalog;
         SET LOCAL max_parallel_workers_per_gather = 0;
         SET LOCAL idle_in_transaction_session_timeout = 0;
         SET LOCAL lock_timeout = '30s';
         SET LOCAL statement_timeout = {}",
        opening.statement_limit_ms.unwrap_or(0)
    );
    let failed = |source| Error::Server {
        doing: "beginning a read-only transaction".to_owned(),
        source,
    };
    client.batch_execute(&begin).await.map_err(failed)
}
