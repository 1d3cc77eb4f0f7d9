//! Both sides, opened together: the source read-only, the target in one read-only, repeatable-read transaction, and the tables that
//! are compared with each other.
//!
//! Every check and every comparison of one run sees the same moment of the target.

use super::error::{Error, server};
use super::pair::{TablePair, literal};
use super::pairing::Pairing;
use super::schema::{self, SourceSchema};
use super::snapshot::Snapshot;
use crate::postgres::{Endpoint, pooler};
use crate::runbook::transfer::Transfer;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_postgres::Client;

/// What our sessions are called in `pg_stat_activity`.
pub const APPLICATION_NAME: &str = "cutover verify";

/// How the target is opened.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    /// `pg_current_snapshot()::text` as recorded at `F1`: rows that it does not see are new since the switch, and are set apart.
    pub since_snapshot: Option<String>,
    /// Nobody may have written since that snapshot but by inserting (`V2`'s representative write): a row of the backup that has been
    /// rewritten all the same is judged like any other. So it is from `F1` to `F4`.
    pub is_frozen: bool,
    /// How long one statement may take on the target; none before the switch, some seconds in production.
    pub statement_limit_ms: Option<u32>,
    /// At most so many rows per second and connection are read from the target: for a target that is in production.
    pub rows_per_second: Option<u32>,
}

/// A source and a target, ready to be compared.
pub struct Sides {
    pub(crate) connector: Arc<Connector>,
    pub(crate) schema: String,
    pub(crate) transfer: Transfer,
    pub(crate) client: Client,
    pub(crate) source_schema: SourceSchema,
    pub(crate) pairing: Pairing,
}

/// How further connections to both sides are made, from whichever thread.
pub(crate) struct Connector {
    source: PathBuf,
    endpoint: Endpoint,
    pub(crate) opening: Opening,
    pub(crate) since: Option<Snapshot>,
    /// The search path of the application's own sessions behind the server's own schema. A query on a table has the server look into its
    /// indexes, and a function of an index may name another without its schema.
    path: String,
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
        let path = application_path(&client, schema).await?;
        let connector = Connector {
            path,
            source: source.to_owned(),
            endpoint: target.clone(),
            opening: opening.clone(),
            since,
        };
        let mut sides = Self {
            connector: Arc::new(connector),
            schema: schema.to_owned(),
            transfer: transfer.clone(),
            client,
            source_schema,
            pairing: Pairing::default(),
        };
        sides.begin().await?;
        Ok(sides)
    }

    /// Lets go of the moment that was looked at, and takes the present one, on the same connection.
    ///
    /// # Errors
    /// As [`Sides::open`]; what is compared afterwards is undefined, and opening anew is the way on.
    pub async fn renew(&mut self) -> Result<(), Error> {
        let failed = server("ending a read-only transaction");
        self.client
            .batch_execute("ROLLBACK")
            .await
            .map_err(failed)?;
        self.source_schema = self.on_source(schema::source).await?;
        self.begin().await
    }

    async fn begin(&mut self) -> Result<(), Error> {
        begin(&self.client, &self.connector.opening, None).await?;
        let mut targets = schema::target(&self.client, &self.schema).await?;
        let strays = super::pairing::strays(&self.source_schema, &targets, &self.transfer);
        let is_meant = |name: &String| {
            let mut sources = self.source_schema.tables.iter();
            let renamed = self.transfer.rename.values().any(|to| to == name);
            renamed || sources.any(|table| table.name.eq_ignore_ascii_case(name))
        };
        targets.retain(|table| !table.is_part || is_meant(&table.name));
        let aside = super::aside::recorded(&self.client, &self.schema).await?;
        self.pairing = Pairing::of(
            &self.source_schema,
            &targets,
            &self.schema,
            &self.transfer,
            aside,
        );
        self.pairing.strays = strays;
        Ok(())
    }

    /// Lets go of the moment that was looked at: from here on nothing is held on the server, until [`Sides::look_again`].
    pub(crate) async fn let_go(&self) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute("ROLLBACK").await
    }

    /// Looks at the present moment once the former was let go of, with the tables paired as they were.
    pub(crate) async fn look_again(&self) -> Result<(), tokio_postgres::Error> {
        let begin = begin_sql(&self.connector.opening, None);
        self.client.batch_execute(&begin).await
    }

    /// Lets further connections see the same moment. Needs the first one to be idle.
    pub(crate) async fn share(&self) -> Result<String, Error> {
        let failed = server("sharing the snapshot");
        Ok(self
            .client
            .query_one("SELECT pg_export_snapshot()", &[])
            .await
            .map_err(failed)?
            .get(0))
    }

    /// A further connection to the source.
    pub(crate) async fn on_source<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.connector.on_source(work).await
    }

    /// The pair of a table by its name in the source, where letter case does not count.
    pub(crate) fn table(&self, source: &str) -> Option<&Arc<TablePair>> {
        let is = |pair: &&Arc<TablePair>| pair.source.eq_ignore_ascii_case(source);
        self.pairing.pairs.iter().find(is)
    }

    /// Why there is nothing that could be equal: no table on either side has a partner.
    pub(crate) fn nothing_to_compare(&self) -> Option<String> {
        if !self.pairing.pairs.is_empty() || !self.pairing.unpaired.is_empty() {
            return None;
        }
        Some(match self.source_schema.tables.as_slice() {
            [] => "nothing was compared: the file holds no table. If it is in WAL mode, its rows may be in a -wal file that is not beside it"
                .to_owned(),
            tables => format!(
                "nothing was compared: none of the {} table(s) of the file is meant to be in schema {} (excluded, or bookkeeping of migrations)",
                tables.len(),
                crate::text::printable(&self.schema, 80)
            ),
        })
    }

    /// Whether the source has a table of this name, also one without a partner.
    pub(crate) fn knows(&self, source: &str) -> bool {
        let mut unpaired = self.pairing.unpaired.iter();
        self.table(source).is_some()
            || unpaired.any(|other| other.table.eq_ignore_ascii_case(source))
    }
}

impl Connector {
    /// A further connection to the target that sees the moment that was shared.
    pub(crate) async fn session(&self, shared: &str) -> Result<Client, Error> {
        let client = connect(&self.endpoint).await?;
        begin(&client, &self.opening, Some(shared)).await?;
        let failed = server("setting the search path");
        let set = format!("SET LOCAL search_path = {}", self.path);
        client.batch_execute(&set).await.map_err(failed)?;
        Ok(client)
    }

    /// A query over rows, with the application's search path around it.
    pub(crate) fn over_rows(&self, sql: &str) -> String {
        format!(
            "SET LOCAL search_path = {}; {sql}; SET LOCAL search_path = pg_catalog",
            self.path
        )
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
}

/// Runs blocking work on a read-only connection to the source.
async fn blocking<T: Send + 'static>(
    source: &Path,
    work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let path = source.to_owned();
    let run = move || {
        let connection = crate::sqlite::open_read_only(&path)?;
        crate::sqlite::stand_in_for_collations(&connection).map_err(|source| Error::Read {
            table: "the file's collations".to_owned(),
            source,
        })?;
        work(&connection)
    };
    tokio::task::spawn_blocking(run)
        .await
        .map_err(|died| Error::Died(died.to_string()))?
}

pub(super) async fn connect(target: &Endpoint) -> Result<Client, Error> {
    let connecting = async {
        pooler::refuse(target).await?;
        // Named within its transaction: what stands behind a pooler keeps its own name.
        target.with_application_name("").connect().await
    };
    connecting.await.map_err(|source| Error::Connect {
        endpoint: target.redacted(),
        source,
    })
}

/// The search path of the application's own sessions, `schema` first where role and database do not name it, behind the server's own.
pub(super) async fn application_path(client: &Client, schema: &str) -> Result<String, Error> {
    let failed = server("reading the search path of the application's sessions");
    let sql = "SELECT coalesce(reset_val, '') FROM pg_settings WHERE name = 'search_path'";
    let row = client.query_one(sql, &[]).await.map_err(failed)?;
    let path: String = row.get(0);
    let schema = super::pair::quoted(schema);
    let parts = path.split(',').map(str::trim);
    let parts = parts.filter(|part| !matches!(*part, "" | "\"\""));
    let all: Vec<&str> = ["pg_catalog", &schema].into_iter().chain(parts).collect();
    Ok(all.join(", "))
}

/// Begins a read-only transaction with every setting pinned that bears on what the server writes.
pub(super) async fn begin(
    client: &Client,
    opening: &Opening,
    snapshot: Option<&str>,
) -> Result<(), Error> {
    let failed = server("beginning a read-only transaction");
    let begin = begin_sql(opening, snapshot);
    client.batch_execute(&begin).await.map_err(failed)
}

fn begin_sql(opening: &Opening, snapshot: Option<&str>) -> String {
    let import = snapshot
        .map(|id| format!("SET TRANSACTION SNAPSHOT {};", literal(id)))
        .unwrap_or_default();
    format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {import}
         SET LOCAL application_name = '{APPLICATION_NAME}';
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
    )
}
