//! The catalogue from PostgreSQL.

use std::time::Duration;

use deadpool_postgres::{Client, GenericClient, Manager, Pool, Runtime};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{NoTls, Row};

use super::config::Config;
use super::store::{Detail, Feature, Kind, NewTool, Page, Step, StoreError, Tool, decimal};
use crate::format::hex;

/// How long a connection may take to come up.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// How long a statement may take.
const STATEMENT_LIMIT: Duration = Duration::from_secs(5);

// Text where the shape on the wire is PostgreSQL's own business.
const COLUMNS: &str = r#"c."Id", c."ExternalId"::text, c."Title", c."Slug", c."Summary", c."CategoryId", c."Price"::text,
    c."AverageRating", c."ViewCount", c."IsPublished", c."ReleasedOn", c."CreatedAt", c."UpdatedAt""#;

/// A pool of connections, and one connection beside it for readiness.
pub(super) struct Postgres {
    pool: Pool,
    readiness: Pool,
}

impl Postgres {
    /// Connects to nothing yet: a database that is down makes an instance unready, not unstartable.
    pub(super) fn open(config: &Config) -> Result<Self, StoreError> {
        let mut target: tokio_postgres::Config = config
            .postgres_url
            .parse()
            // The text of this error may quote the URL, and with it the password.
            .map_err(|_| {
                StoreError::new(Kind::Connection, "PostgresUrl is not a connection URL")
            })?;
        target
            .application_name(&config.instance)
            .connect_timeout(CONNECT_LIMIT);
        let pool = |size, wait| {
            Pool::builder(Manager::new(target.clone(), NoTls))
                .max_size(size)
                .wait_timeout(Some(wait))
                .create_timeout(Some(CONNECT_LIMIT))
                .runtime(Runtime::Tokio1)
                .build()
                .map_err(|error| StoreError::new(Kind::Other, error.to_string()))
        };
        Ok(Self {
            pool: pool(config.pool_max, config.pool_wait)?,
            readiness: pool(1, CONNECT_LIMIT)?,
        })
    }

    pub(super) fn pool(&self) -> deadpool::Status {
        self.pool.status()
    }

    /// Takes a connection out of the pool, to hold it.
    pub(super) async fn connection(&self) -> Result<Client, StoreError> {
        take(&self.pool).await
    }

    pub(super) async fn list(&self, page: i64, size: i64) -> Result<Page, StoreError> {
        let client = take(&self.pool).await?;
        let counted = query(&client, r#"SELECT count(*) FROM "ToolContents""#, &[]).await?;
        let total = counted
            .first()
            .map_or(Ok(0), |row| row.try_get(0))
            .map_err(failed)?;
        let sql = format!(
            r#"SELECT {COLUMNS} FROM "ToolContents" c ORDER BY c."Title", c."Id" LIMIT $1 OFFSET $2"#
        );
        let rows = query(&client, &sql, &[&size, &((page - 1) * size)]).await?;
        let items = rows
            .iter()
            .map(tool)
            .collect::<Result<_, _>>()
            .map_err(failed)?;
        Ok(Page {
            page,
            size,
            total,
            items,
        })
    }

    pub(super) async fn by_slug(&self, slug: String) -> Result<Option<Detail>, StoreError> {
        let client = take(&self.pool).await?;
        let sql = format!(
            r#"SELECT {COLUMNS}, c."Body", c."Icon", p."Slug" FROM "ToolContents" c
               LEFT JOIN "ToolCategories" p ON p."Id" = c."CategoryId" WHERE c."Slug" = $1"#
        );
        let rows = query(&client, &sql, &[&slug]).await?;
        match rows.first() {
            Some(row) => detail(&client, row).await.map(Some),
            None => Ok(None),
        }
    }

    pub(super) async fn create(&self, new: NewTool) -> Result<(bool, Tool), StoreError> {
        let mut client = take(&self.pool).await?;
        let transaction = within(client.transaction()).await?;
        let outcome = insert(&transaction, &new).await?;
        within(transaction.commit()).await?;
        Ok(outcome)
    }

    pub(super) async fn try_write(&self, new: NewTool) -> Result<(), StoreError> {
        let mut client = take(&self.pool).await?;
        let transaction = within(client.transaction()).await?;
        insert(&transaction, &new).await?;
        within(transaction.rollback()).await
    }

    pub(super) async fn applied_migrations(&self) -> Result<Vec<String>, StoreError> {
        let client = take(&self.readiness).await?;
        let rows = match query(
            &client,
            r#"SELECT "MigrationId" FROM "__EFMigrationsHistory""#,
            &[],
        )
        .await
        {
            Err(error) if error.kind == Kind::Schema => return Ok(Vec::new()),
            outcome => outcome?,
        };
        rows.iter()
            .map(|row| row.try_get(0))
            .collect::<Result<_, _>>()
            .map_err(failed)
    }
}

async fn take(pool: &Pool) -> Result<Client, StoreError> {
    pool.get()
        .await
        .map_err(|error| StoreError::pool(error, failed))
}

async fn query(
    client: &impl GenericClient,
    sql: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, StoreError> {
    within(client.query(sql, values)).await
}

async fn within<T>(
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(STATEMENT_LIMIT, work).await {
        Ok(outcome) => outcome.map_err(failed),
        Err(_) => Err(StoreError::new(
            Kind::Timeout,
            "The statement took longer than its limit",
        )),
    }
}

/// Makes the tool exist; `true` where it did not before.
async fn insert(client: &impl GenericClient, new: &NewTool) -> Result<(bool, Tool), StoreError> {
    let insert = r#"INSERT INTO "ToolContents" ("ExternalId","Title","Slug","Summary","Body","CategoryId","Price","ViewCount","IsPublished","CreatedAt")
        VALUES ($1::text::uuid,$2,$3,$4,$5,$6,$7::text::numeric,0,$8,clock_timestamp()) ON CONFLICT ("ExternalId") DO NOTHING"#;
    let values: [&(dyn ToSql + Sync); 8] = [
        &new.external_id,
        &new.title,
        &new.slug,
        &new.summary,
        &new.body,
        &new.category_id,
        &new.price,
        &new.is_published,
    ];
    let inserted = within(client.execute(insert, &values)).await?;
    let sql =
        format!(r#"SELECT {COLUMNS} FROM "ToolContents" c WHERE c."ExternalId" = $1::text::uuid"#);
    let rows = query(client, &sql, &[&new.external_id]).await?;
    let stored = rows
        .first()
        .ok_or_else(|| StoreError::new(Kind::Other, "the row is gone"))?;
    Ok((inserted == 1, tool(stored).map_err(failed)?))
}

async fn detail(client: &Client, row: &Row) -> Result<Detail, StoreError> {
    let tool = tool(row).map_err(failed)?;
    let id =
        i32::try_from(tool.id).map_err(|_| StoreError::new(Kind::Other, "an id beyond integer"))?;
    let features = query(
        client,
        r#"SELECT "Id","Name","Description","SortOrder","IsHighlighted","CreatedAt" FROM "ToolFeatures" WHERE "ToolContentId" = $1 ORDER BY "SortOrder","Id""#,
        &[&id],
    )
    .await?;
    let steps = query(
        client,
        r#"SELECT "Id","StepNumber","Title","Body","EstimatedMinutes","Cost"::text FROM "ToolSteps" WHERE "ToolContentId" = $1 ORDER BY "StepNumber""#,
        &[&id],
    )
    .await?;
    let tags = query(
        client,
        r#"SELECT t."Slug" FROM "ToolContentTags" j JOIN "Tags" t ON t."Id" = j."TagId" WHERE j."ToolContentId" = $1 ORDER BY t."Id""#,
        &[&id],
    )
    .await?;
    let related = query(
        client,
        r#"SELECT t."Slug" FROM "ToolContentRelations" j JOIN "ToolContents" t ON t."Id" = j."RelatedToolContentId"
           WHERE j."ToolContentId" = $1 ORDER BY t."Id""#,
        &[&id],
    )
    .await?;
    let build = || -> Result<Detail, tokio_postgres::Error> {
        Ok(Detail {
            body: row.try_get(13)?,
            icon: row.try_get::<_, Option<&[u8]>>(14)?.map(hex),
            category: row.try_get(15)?,
            features: features.iter().map(feature).collect::<Result<_, _>>()?,
            steps: steps.iter().map(step).collect::<Result<_, _>>()?,
            tags: tags
                .iter()
                .map(|row| row.try_get(0))
                .collect::<Result<_, _>>()?,
            related: related
                .iter()
                .map(|row| row.try_get(0))
                .collect::<Result<_, _>>()?,
            tool,
        })
    };
    build().map_err(failed)
}

fn tool(row: &Row) -> Result<Tool, tokio_postgres::Error> {
    Ok(Tool {
        id: row.try_get::<_, i32>(0)?.into(),
        external_id: row.try_get(1)?,
        title: row.try_get(2)?,
        slug: row.try_get(3)?,
        summary: row.try_get(4)?,
        category_id: row.try_get::<_, Option<i32>>(5)?.map(Into::into),
        price: row.try_get::<_, Option<&str>>(6)?.map(decimal),
        average_rating: row.try_get(7)?,
        view_count: row.try_get(8)?,
        is_published: row.try_get(9)?,
        released_on: row.try_get(10)?,
        created_at: row.try_get(11)?,
        updated_at: row.try_get(12)?,
    })
}

fn feature(row: &Row) -> Result<Feature, tokio_postgres::Error> {
    Ok(Feature {
        id: row.try_get::<_, i32>(0)?.into(),
        name: row.try_get(1)?,
        description: row.try_get(2)?,
        sort_order: row.try_get::<_, i32>(3)?.into(),
        is_highlighted: row.try_get(4)?,
        created_at: row.try_get(5)?,
    })
}

fn step(row: &Row) -> Result<Step, tokio_postgres::Error> {
    Ok(Step {
        id: row.try_get::<_, i32>(0)?.into(),
        step_number: row.try_get::<_, i32>(1)?.into(),
        title: row.try_get(2)?,
        body: row.try_get(3)?,
        estimated_minutes: row.try_get::<_, Option<i32>>(4)?.map(Into::into),
        cost: decimal(row.try_get(5)?),
    })
}

pub(super) fn failed(error: tokio_postgres::Error) -> StoreError {
    let kind = match error.code() {
        None => Kind::Connection,
        Some(code) if *code == SqlState::T_R_DEADLOCK_DETECTED => Kind::Deadlock,
        Some(code) if *code == SqlState::QUERY_CANCELED => Kind::Timeout,
        Some(code) => match &code.code()[..2] {
            "08" | "53" | "57" => Kind::Connection,
            "23" => Kind::Constraint,
            "28" => Kind::Authentication,
            "3F" | "42" => Kind::Schema,
            _ => Kind::Other,
        },
    };
    let message = error.as_db_error().map_or_else(
        || error.to_string(),
        |db| format!("{}: {}", db.code().code(), db.message()),
    );
    StoreError::new(kind, message)
}
