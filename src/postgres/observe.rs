//! What goes on inside the target: who does what, who waits for whom, what has gone wrong since, what is slow.
//!
//! A connection of its own, with short time-outs, held between looks. Statements' texts are never read: they hold people's data.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::{Endpoint, Error, pooler};

/// Sessions that one look takes in at most; servers have some hundred.
const SESSIONS: i64 = 5_000;
/// Waiting sessions that one look takes in at most.
const WAITS: i64 = 200;
/// How long our own questions may wait for a lock.
const LOCK_TIMEOUT_MS: u128 = 500;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Look {
    /// Clients of this database, our own sessions included, the looking one left out.
    pub sessions: Vec<Session>,
    /// Those whose state the server does not show us.
    pub hidden: u32,
    /// Client connections on the whole server.
    pub server_total: u32,
    /// `max_connections` less what is reserved for superusers.
    pub server_limit: u32,
    /// Who waits for a lock, the longest first.
    pub waits: Vec<LockWait>,
    /// What this database has counted.
    pub counted: Counted,
    /// Statements by their number, where `pg_stat_statements` is there and may be read.
    pub statements: Option<Vec<Statement>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Its process on the server.
    pub pid: i32,
    /// As it calls itself; foreign text.
    pub application: String,
    /// `active`, `idle`, …
    pub state: String,
    /// What it waits for while it is active: `Lock`, `IO`, `LWLock`, …
    pub waits_for: Option<String>,
    /// For how long its statement has been running; `None` while it runs none.
    pub running_ms: Option<f64>,
    /// Tells its statement from the next one.
    pub statement: String,
}

/// A session that waits for a lock.
#[derive(Debug, Clone, PartialEq)]
pub struct LockWait {
    pub pid: i32,
    /// As it calls itself; foreign text.
    pub application: String,
    pub for_ms: f64,
    /// Who holds what it waits for, or stands before it: process, application, state; foreign text.
    pub holders: Vec<String>,
}

/// Counters of one database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Deadlocks found.
    pub deadlocks: i64,
    /// Statements cancelled by a standby's recovery.
    pub conflicts: i64,
    /// Temporary files.
    pub temp_files: i64,
    /// Bytes in them.
    pub temp_bytes: i64,
}

/// A kind of statement, as `pg_stat_statements` counts it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Statement {
    pub id: i64,
    /// How often it has run.
    pub calls: i64,
    /// For how long in all.
    pub total_ms: f64,
}

/// What the server allows, and for how long, to those who connect in this role. Ours may differ, for we set our own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    pub role: String,
    /// Values by name; times are in milliseconds, 0 is without limit. What the server's version does not know is not there.
    pub values: BTreeMap<String, String>,
}

/// A connection that looks, again and again.
pub struct Observer {
    client: Client,
    host: String,
    time_limit: Duration,
    /// Whether a transaction may have been left open by a question that was not answered.
    is_open: AtomicBool,
    /// Where `pg_stat_statements` is; `None` where it cannot be read.
    statements: Option<String>,
}

impl Observer {
    /// Connects. `time_limit` is for each question.
    pub async fn open(endpoint: &Endpoint, time_limit: Duration) -> Result<Self, Error> {
        let endpoint = endpoint.with_application_name("cutover watch");
        let client = pooler::connect(&endpoint).await?;
        let mut observer = Self {
            client,
            host: endpoint.host_label(),
            time_limit,
            is_open: AtomicBool::new(false),
            statements: None,
        };
        observer.statements = observer.find_statements().await?;
        Ok(observer)
    }

    /// Whether the connection was lost.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// What goes on now.
    pub async fn look(&self) -> Result<Look, Error> {
        let mut look = Look::default();
        for row in self
            .ask("read pg_stat_activity", SESSIONS_QUERY, SESSIONS)
            .await?
        {
            match row.get::<_, Option<String>>(2) {
                Some(state) => look.sessions.push(session(&row, state)),
                None => look.hidden += 1,
            }
        }
        for row in self.ask("read pg_locks", WAITS_QUERY, WAITS).await? {
            look.waits.push(LockWait {
                pid: row.get(0),
                application: row.get(1),
                for_ms: row.get(2),
                holders: row.get(3),
            });
        }
        for row in self.ask("read pg_stat_database", COUNTED_QUERY, 1).await? {
            let count = |n: usize| row.get::<_, i64>(n).try_into().unwrap_or(u32::MAX);
            look.counted = Counted {
                deadlocks: row.get(0),
                conflicts: row.get(1),
                temp_files: row.get(2),
                temp_bytes: row.get(3),
            };
            (look.server_total, look.server_limit) = (count(4), count(5));
        }
        if let Some(query) = &self.statements {
            let rows = self.ask("read pg_stat_statements", query, i64::MAX).await?;
            let statement = |row: &Row| Statement {
                id: row.get(0),
                calls: row.get(1),
                total_ms: row.get(2),
            };
            look.statements = Some(rows.iter().map(statement).collect());
        }
        Ok(look)
    }

    /// What the server allows.
    pub async fn settings(&self) -> Result<Settings, Error> {
        let mut settings = Settings::default();
        for row in self
            .ask("read pg_settings", SETTINGS_QUERY, i64::MAX)
            .await?
        {
            settings.role = row.get(0);
            settings.values.insert(row.get(1), row.get(2));
        }
        Ok(settings)
    }

    /// The query for `pg_stat_statements`, where the extension is in this database, loaded, and may be read.
    async fn find_statements(&self) -> Result<Option<String>, Error> {
        let found = self
            .ask("look for pg_stat_statements", EXTENSION_QUERY, 1)
            .await?;
        let Some(row) = found.first() else {
            return Ok(None);
        };
        let query = STATEMENTS_QUERY.replace("{schema}", &row.get::<_, String>(0));
        match self.ask("read pg_stat_statements", &query, 0).await {
            Ok(_) => Ok(Some(query)),
            Err(Error::Sql { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every query takes the number of rows that it may have.
    async fn ask(&self, doing: &'static str, query: &str, limit: i64) -> Result<Vec<Row>, Error> {
        match tokio::time::timeout(self.time_limit, self.ask_within(query, limit)).await {
            Ok(rows) => rows.map_err(|error| Error::of_statement(doing, &error)),
            Err(_) => Err(Error::Timeout {
                host: self.host.clone(),
                seconds: self.time_limit.as_secs(),
            }),
        }
    }
}

impl Observer {
    /// One transaction with time-outs of its own and no prepared statement: through a pooler too, nothing of ours stays.
    async fn ask_within(&self, query: &str, limit: i64) -> Result<Vec<Row>, tokio_postgres::Error> {
        if self.is_open.swap(true, Ordering::Relaxed) {
            self.client.batch_execute("ROLLBACK").await?;
        }
        let limit_ms = self.time_limit.as_millis();
        let begin = format!(
            "BEGIN READ ONLY; SET LOCAL statement_timeout = {limit_ms}; SET LOCAL lock_timeout = {}; \
             SET LOCAL idle_in_transaction_session_timeout = {limit_ms}",
            limit_ms.min(LOCK_TIMEOUT_MS)
        );
        self.client.batch_execute(&begin).await?;
        let rows = self
            .client
            .query_typed(query, &[(&limit, Type::INT8)])
            .await;
        let end = if rows.is_ok() { "COMMIT" } else { "ROLLBACK" };
        self.client.batch_execute(end).await?;
        self.is_open.store(false, Ordering::Relaxed);
        rows
    }
}

fn session(row: &Row, state: String) -> Session {
    let is_active = state == "active";
    Session {
        pid: row.get(0),
        application: row.get(1),
        waits_for: row.get::<_, Option<String>>(3).filter(|_| is_active),
        running_ms: row.get::<_, Option<f64>>(4).filter(|_| is_active),
        statement: row.get(5),
        state,
    }
}

const SESSIONS_QUERY: &str = "
    SELECT pid, coalesce(application_name, ''), state, wait_event_type,
      extract(epoch FROM clock_timestamp() - query_start)::float8 * 1000, coalesce(query_start::text, '')
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND coalesce(backend_type, 'client backend') = 'client backend'
    LIMIT $1";

/// Locks are everybody's to see, also where sessions' states are not.
const WAITS_QUERY: &str = "
    WITH waiting AS (
      SELECT l.pid, min(l.waitstart) AS since FROM pg_locks l
      JOIN pg_stat_activity a ON a.pid = l.pid
      WHERE NOT l.granted AND a.datname = current_database() GROUP BY l.pid)
    SELECT w.pid, coalesce(a.application_name, ''),
      coalesce(extract(epoch FROM clock_timestamp() - w.since)::float8 * 1000, 0),
      ARRAY(SELECT h.pid || ' (' || concat_ws(', ', nullif(b.application_name, ''), b.state) || ')'
            FROM unnest(pg_blocking_pids(w.pid)) AS h(pid) LEFT JOIN pg_stat_activity b ON b.pid = h.pid)
    FROM waiting w LEFT JOIN pg_stat_activity a ON a.pid = w.pid
    ORDER BY 3 DESC LIMIT $1";

const COUNTED_QUERY: &str = "
    SELECT deadlocks, conflicts, temp_files, temp_bytes,
      (SELECT count(*) FROM pg_stat_activity
        WHERE datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'),
      current_setting('max_connections')::bigint
        - current_setting('superuser_reserved_connections')::bigint
        - coalesce(current_setting('reserved_connections', true)::bigint, 0)
    FROM pg_stat_database WHERE datname = current_database() LIMIT $1";

/// What a session begins with, not what ours was set to.
const SETTINGS_QUERY: &str = "
    SELECT session_user::text, name, reset_val FROM pg_settings
    WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections', 'ssl', 'statement_timeout',
      'lock_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')
    LIMIT $1";

const EXTENSION_QUERY: &str = "
    SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'pg_stat_statements' LIMIT $1";

const STATEMENTS_QUERY: &str = "
    SELECT queryid, sum(calls)::bigint, sum(total_exec_time)::float8 FROM {schema}.pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND queryid IS NOT NULL
    GROUP BY queryid LIMIT $1";
