//! The catalogue from the live SQLite file.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use deadpool::managed::{Manager, Metrics, Pool, RecycleResult};
use rusqlite::types::Type;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, TransactionBehavior, params};

use super::config::Config;
use super::store::{Detail, Feature, Kind, NewTool, Page, Step, StoreError, Tool, decimal};
use crate::format::hex;

/// How long a statement waits for a lock.
const BUSY_LIMIT: Duration = Duration::from_secs(2);

const COLUMNS: &str = r#"c."Id", c."ExternalId", c."Title", c."Slug", c."Summary", c."CategoryId", c."Price", c."AverageRating",
    c."ViewCount", c."IsPublished", c."ReleasedOn", c."CreatedAt", c."UpdatedAt""#;

/// Opens connections to one file.
struct Opener {
    path: PathBuf,
}

impl Opener {
    fn open(&self) -> rusqlite::Result<Connection> {
        // Never created: an application that lost its database must not come up with an empty one.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(BUSY_LIMIT)?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(connection)
    }
}

impl Manager for Opener {
    type Type = Connection;
    type Error = rusqlite::Error;

    async fn create(&self) -> Result<Connection, rusqlite::Error> {
        self.open()
    }

    async fn recycle(&self, _: &mut Connection, _: &Metrics) -> RecycleResult<rusqlite::Error> {
        Ok(())
    }
}

/// A pool of connections to the file.
pub(super) struct Sqlite {
    pool: Pool<Opener>,
    path: PathBuf,
}

impl Sqlite {
    pub(super) fn open(config: &Config) -> Result<Self, StoreError> {
        let opener = Opener {
            path: config.sqlite_path.clone(),
        };
        let mode: String = opener
            .open()
            .and_then(|file| file.query_row("PRAGMA journal_mode", [], |row| row.get(0)))
            .map_err(failed)?;
        if mode != "wal" {
            return Err(StoreError::new(
                Kind::Other,
                format!("the database is in journal mode {mode}, not wal"),
            ));
        }
        let pool = Pool::builder(opener)
            .max_size(config.pool_max)
            .wait_timeout(Some(config.pool_wait))
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::new(Kind::Other, error.to_string()))?;
        Ok(Self {
            pool,
            path: config.sqlite_path.clone(),
        })
    }

    pub(super) fn pool(&self) -> deadpool::Status {
        self.pool.status()
    }

    /// Runs it on a pooled connection, off the runtime's thread.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let mut connection = self
            .pool
            .get()
            .await
            .map_err(|error| StoreError::pool(error, failed))?;
        let done = tokio::task::spawn_blocking(move || work(&mut connection)).await;
        done.expect("BUG: a database task panicked").map_err(failed)
    }

    pub(super) async fn list(&self, page: i64, size: i64) -> Result<Page, StoreError> {
        self.with(move |connection| {
            let total = connection.query_row(r#"SELECT count(*) FROM "ToolContents""#, [], |row| row.get(0))?;
            let sql = format!(r#"SELECT {COLUMNS} FROM "ToolContents" c ORDER BY c."Title", c."Id" LIMIT ?1 OFFSET ?2"#);
            let mut statement = connection.prepare_cached(&sql)?;
            let items = statement.query_map(params![size, (page - 1) * size], tool)?.collect::<Result<_, _>>()?;
            Ok(Page { page, size, total, items })
        })
        .await
    }

    pub(super) async fn by_slug(&self, slug: String) -> Result<Option<Detail>, StoreError> {
        self.with(move |connection| {
            // One snapshot for all the parts.
            let transaction = connection.transaction()?;
            detail(&transaction, &slug)
        })
        .await
    }

    pub(super) async fn create(&self, new: NewTool) -> Result<(bool, Tool), StoreError> {
        self.with(move |connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let outcome = insert(&transaction, &new)?;
            transaction.commit()?;
            Ok(outcome)
        })
        .await
    }

    pub(super) async fn try_write(&self, new: NewTool) -> Result<(), StoreError> {
        self.with(move |connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            insert(&transaction, &new)?;
            transaction.rollback()
        })
        .await
    }

    pub(super) async fn applied_migrations(&self) -> Result<Vec<String>, StoreError> {
        let opener = Opener {
            path: self.path.clone(),
        };
        let read = move || -> rusqlite::Result<Vec<String>> {
            let connection = opener.open()?;
            let mut statement =
                connection.prepare(r#"SELECT "MigrationId" FROM "__EFMigrationsHistory""#)?;
            statement.query_map([], |row| row.get(0))?.collect()
        };
        tokio::task::spawn_blocking(read)
            .await
            .expect("BUG: a database task panicked")
            .map_err(failed)
    }
}

/// Makes the tool exist; `true` where it did not before.
fn insert(connection: &Connection, new: &NewTool) -> rusqlite::Result<(bool, Tool)> {
    let external_id = new.external_id.to_uppercase();
    let inserted = connection.execute(
        r#"INSERT INTO "ToolContents" ("ExternalId","Title","Slug","Summary","Body","CategoryId","Price","ViewCount","IsPublished","CreatedAt")
           VALUES (?1,?2,?3,?4,?5,?6,?7,0,?8,?9) ON CONFLICT ("ExternalId") DO NOTHING"#,
        params![external_id, new.title, new.slug, new.summary, new.body, new.category_id, new.price, new.is_published, now()],
    )?;
    let sql = format!(r#"SELECT {COLUMNS} FROM "ToolContents" c WHERE c."ExternalId" = ?1"#);
    Ok((
        inserted == 1,
        connection.query_row(&sql, [external_id], tool)?,
    ))
}

fn detail(connection: &Connection, slug: &str) -> rusqlite::Result<Option<Detail>> {
    let sql = format!(
        r#"SELECT {COLUMNS}, c."Body", c."Icon", p."Slug" FROM "ToolContents" c
           LEFT JOIN "ToolCategories" p ON p."Id" = c."CategoryId" WHERE c."Slug" = ?1"#
    );
    let read = |row: &Row<'_>| {
        Ok((
            tool(row)?,
            row.get(13)?,
            row.get::<_, Option<Vec<u8>>>(14)?,
            row.get(15)?,
        ))
    };
    let Some((tool, body, icon, category)) = connection
        .prepare_cached(&sql)?
        .query_row([slug], read)
        .optional()?
    else {
        return Ok(None);
    };
    let (features, steps) = (features(connection, tool.id)?, steps(connection, tool.id)?);
    let tags = slugs(
        connection,
        r#"SELECT t."Slug" FROM "ToolContentTags" j JOIN "Tags" t ON t."Id" = j."TagId" WHERE j."ToolContentId" = ?1 ORDER BY t."Id""#,
        tool.id,
    )?;
    let related = slugs(
        connection,
        r#"SELECT t."Slug" FROM "ToolContentRelations" j JOIN "ToolContents" t ON t."Id" = j."RelatedToolContentId"
           WHERE j."ToolContentId" = ?1 ORDER BY t."Id""#,
        tool.id,
    )?;
    Ok(Some(Detail {
        tool,
        body,
        icon: icon.as_deref().map(hex),
        category,
        features,
        steps,
        tags,
        related,
    }))
}

fn features(connection: &Connection, tool: i64) -> rusqlite::Result<Vec<Feature>> {
    let mut statement = connection.prepare_cached(
        r#"SELECT "Id","Name","Description","SortOrder","IsHighlighted","CreatedAt" FROM "ToolFeatures" WHERE "ToolContentId" = ?1 ORDER BY "SortOrder","Id""#,
    )?;
    let read = |row: &Row<'_>| {
        Ok(Feature {
            id: row.get(0)?,
            name: row.get(1)?,
            description: row.get(2)?,
            sort_order: row.get(3)?,
            is_highlighted: row.get(4)?,
            created_at: instant(row, 5)?,
        })
    };
    statement.query_map([tool], read)?.collect()
}

fn steps(connection: &Connection, tool: i64) -> rusqlite::Result<Vec<Step>> {
    let mut statement = connection.prepare_cached(
        r#"SELECT "Id","StepNumber","Title","Body","EstimatedMinutes","Cost" FROM "ToolSteps" WHERE "ToolContentId" = ?1 ORDER BY "StepNumber""#,
    )?;
    let read = |row: &Row<'_>| {
        Ok(Step {
            id: row.get(0)?,
            step_number: row.get(1)?,
            title: row.get(2)?,
            body: row.get(3)?,
            estimated_minutes: row.get(4)?,
            cost: decimal(&row.get::<_, String>(5)?),
        })
    };
    statement.query_map([tool], read)?.collect()
}

fn slugs(connection: &Connection, sql: &str, tool: i64) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached(sql)?
        .query_map([tool], |row| row.get(0))?
        .collect()
}

fn tool(row: &Row<'_>) -> rusqlite::Result<Tool> {
    let released_on: Option<String> = row.get(10)?;
    Ok(Tool {
        id: row.get(0)?,
        external_id: row.get::<_, String>(1)?.to_lowercase(),
        title: row.get(2)?,
        slug: row.get(3)?,
        summary: row.get(4)?,
        category_id: row.get(5)?,
        price: row.get::<_, Option<String>>(6)?.as_deref().map(decimal),
        average_rating: row.get(7)?,
        view_count: row.get(8)?,
        is_published: row.get(9)?,
        released_on: released_on
            .map(|text| text.parse::<NaiveDate>())
            .transpose()
            .map_err(|error| not_a_date(10, error))?,
        created_at: instant(row, 11)?,
        updated_at: row
            .get::<_, Option<String>>(12)?
            .map(|text| parse_instant(&text, 12))
            .transpose()?,
    })
}

fn instant(row: &Row<'_>, column: usize) -> rusqlite::Result<DateTime<Utc>> {
    parse_instant(&row.get::<_, String>(column)?, column)
}

fn parse_instant(text: &str, column: usize) -> rusqlite::Result<DateTime<Utc>> {
    let parsed = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f");
    parsed
        .map(|at| at.and_utc())
        .map_err(|error| not_a_date(column, error))
}

fn not_a_date(column: usize, error: chrono::ParseError) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// Now, as EF Core writes it: seven digits.
fn now() -> String {
    let now = Utc::now();
    format!(
        "{}.{:07}",
        now.format("%Y-%m-%d %H:%M:%S"),
        now.timestamp_subsec_nanos() / 100
    )
}

fn failed(error: rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode;
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Kind::Busy,
        Some(ErrorCode::ConstraintViolation) => Kind::Constraint,
        Some(ErrorCode::CannotOpen | ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            Kind::Connection
        }
        _ => Kind::Other,
    };
    StoreError::new(kind, error.to_string())
}
