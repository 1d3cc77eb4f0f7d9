//! What the application asks of a database, whichever it is, and the shape of its answers.
//!
//! A row looks the same from both: instants in microseconds, decimals without trailing zeros, GUIDs in lower case. Not in
//! here: SQL ([`super::sqlite`], [`super::postgres`]).

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize, Serializer};
use strum::IntoStaticStr;

use super::config::{Config, Provider};
use super::postgres::Postgres;
use super::sqlite::Sqlite;
use crate::demo::sample::guid;

/// The kinds of database exception that operators tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(super) enum Kind {
    Timeout,
    PoolTimeout,
    Deadlock,
    Authentication,
    Constraint,
    Connection,
    Busy,
    Schema,
    Other,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        self.into()
    }

    /// What .NET would call it: Npgsql has one exception for what the server said and one for not reaching it.
    pub(super) fn exception(self, provider: Provider) -> &'static str {
        match (provider, self) {
            (Provider::Sqlite, _) => "SqliteException",
            (Provider::Postgres, Self::Timeout | Self::PoolTimeout | Self::Connection) => {
                "NpgsqlException"
            }
            (Provider::Postgres, _) => "PostgresException",
        }
    }
}

/// What a database did not do.
#[derive(Debug)]
pub(super) struct StoreError {
    pub(super) kind: Kind,
    pub(super) message: String,
}

impl StoreError {
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// What the pool could not give.
    pub(super) fn pool<E>(
        error: deadpool::managed::PoolError<E>,
        inner: impl FnOnce(E) -> Self,
    ) -> Self {
        use deadpool::managed::{PoolError, TimeoutType};
        match error {
            PoolError::Timeout(TimeoutType::Wait) => Self::new(
                Kind::PoolTimeout,
                "The connection pool has been exhausted: no connection within the wait limit",
            ),
            PoolError::Timeout(_) => Self::new(
                Kind::Connection,
                "No connection to the database within the time limit",
            ),
            PoolError::Backend(error) => inner(error),
            PoolError::Closed => Self::new(Kind::Connection, "The connection pool is closed"),
            PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                Self::new(Kind::Other, "The pool is misconfigured")
            }
        }
    }
}

/// One tool, as a list shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tool {
    pub(super) id: i64,
    pub(super) external_id: String,
    pub(super) title: String,
    pub(super) slug: String,
    pub(super) summary: Option<String>,
    pub(super) category_id: Option<i64>,
    pub(super) price: Option<String>,
    pub(super) average_rating: Option<f64>,
    pub(super) view_count: i64,
    pub(super) is_published: bool,
    pub(super) released_on: Option<NaiveDate>,
    #[serde(serialize_with = "microseconds")]
    pub(super) created_at: DateTime<Utc>,
    #[serde(serialize_with = "maybe_microseconds")]
    pub(super) updated_at: Option<DateTime<Utc>>,
}

/// One tool with all that hangs on it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Detail {
    #[serde(flatten)]
    pub(super) tool: Tool,
    pub(super) body: String,
    /// Bytes in hexadecimal.
    pub(super) icon: Option<String>,
    pub(super) category: Option<String>,
    pub(super) features: Vec<Feature>,
    pub(super) steps: Vec<Step>,
    /// Slugs, in order.
    pub(super) tags: Vec<String>,
    /// Slugs, in order.
    pub(super) related: Vec<String>,
}

/// A feature of a tool.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Feature {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) sort_order: i64,
    pub(super) is_highlighted: bool,
    #[serde(serialize_with = "microseconds")]
    pub(super) created_at: DateTime<Utc>,
}

/// A step of a tool's instructions.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Step {
    pub(super) id: i64,
    pub(super) step_number: i64,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) estimated_minutes: Option<i64>,
    pub(super) cost: String,
}

/// One page of the list.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    pub(super) page: i64,
    pub(super) size: i64,
    pub(super) total: i64,
    pub(super) items: Vec<Tool>,
}

/// A tool that a client wants to exist. The client chooses the GUID, so that trying again does not make a second one.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewTool {
    pub(super) external_id: String,
    pub(super) title: String,
    pub(super) slug: Option<String>,
    pub(super) summary: Option<String>,
    #[serde(default)]
    pub(super) body: String,
    pub(super) category_id: Option<i32>,
    pub(super) price: Option<String>,
    #[serde(default)]
    pub(super) is_published: bool,
}

impl NewTool {
    /// A tool that is never kept.
    fn probe() -> Self {
        let external_id = guid(rand::random());
        Self {
            slug: Some(format!("probe-{external_id}")),
            external_id,
            title: "Probe".to_string(),
            summary: None,
            body: String::new(),
            category_id: None,
            price: Some("0.5".to_string()),
            is_published: false,
        }
    }

    /// The tool with its GUID in lower case and a slug, or what is wrong with it.
    pub(super) fn checked(mut self) -> Result<Self, &'static str> {
        self.external_id = self.external_id.to_ascii_lowercase();
        if !is_guid(&self.external_id) {
            return Err("externalId is not a GUID");
        }
        if self.title.trim().is_empty() {
            return Err("title is empty");
        }
        if self
            .price
            .as_deref()
            .is_some_and(|price| !is_decimal(price))
        {
            return Err("price is not a decimal with at most four places");
        }
        let slug = self
            .slug
            .unwrap_or_else(|| format!("tool-{}", self.external_id));
        self.slug = Some(normalised(&slug));
        Ok(self)
    }
}

/// How a slug is looked up: trimmed, letter case aside.
pub(super) fn normalised(slug: &str) -> String {
    slug.trim().to_lowercase()
}

fn is_guid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lengths == [8, 4, 4, 4, 12] && parts.concat().bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_decimal(text: &str) -> bool {
    let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str, most| {
        (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    digits(whole, 14) && digits(places, 4)
}

/// A decimal without trailing zeros: `12.5000` and `12.5` are one price.
pub(super) fn decimal(text: &str) -> String {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text.to_string(),
    }
}

const MICROSECONDS: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";

fn microseconds<S: Serializer>(at: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&at.format(MICROSECONDS))
}

fn maybe_microseconds<S: Serializer>(at: &Option<DateTime<Utc>>, to: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => microseconds(at, to),
        None => to.serialize_none(),
    }
}

/// The database that the configuration names.
pub(super) enum Store {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Store {
    pub(super) fn open(config: &Config) -> Result<Self, StoreError> {
        match config.provider {
            Provider::Sqlite => Sqlite::open(config).map(Self::Sqlite),
            Provider::Postgres => Postgres::open(config).map(Self::Postgres),
        }
    }

    /// A page of the list, ordered by title and id. `page` counts from one.
    pub(super) async fn list(&self, page: i64, size: i64) -> Result<Page, StoreError> {
        match self {
            Self::Sqlite(store) => store.list(page, size).await,
            Self::Postgres(store) => store.list(page, size).await,
        }
    }

    /// The tool with this slug.
    pub(super) async fn by_slug(&self, slug: &str) -> Result<Option<Detail>, StoreError> {
        match self {
            Self::Sqlite(store) => store.by_slug(normalised(slug)).await,
            Self::Postgres(store) => store.by_slug(normalised(slug)).await,
        }
    }

    /// Makes the tool exist; `true` where it did not before.
    pub(super) async fn create(&self, tool: NewTool) -> Result<(bool, Tool), StoreError> {
        match self {
            Self::Sqlite(store) => store.create(tool).await,
            Self::Postgres(store) => store.create(tool).await,
        }
    }

    /// Writes a tool and takes it back: everything a write needs is exercised, and nothing is left.
    pub(super) async fn try_write(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(store) => store.try_write(NewTool::probe()).await,
            Self::Postgres(store) => store.try_write(NewTool::probe()).await,
        }
    }

    /// The ids that this build expects and the database lacks. Asked on a connection of its own, outside the pool: a busy
    /// pool is not a dead database.
    pub(super) async fn pending_migrations(&self) -> Result<Vec<&'static str>, StoreError> {
        let (expected, applied) = match self {
            Self::Sqlite(store) => (
                crate::demo::sample::SQLITE_MIGRATIONS,
                store.applied_migrations().await?,
            ),
            Self::Postgres(store) => (
                crate::demo::sample::POSTGRES_MIGRATIONS,
                store.applied_migrations().await?,
            ),
        };
        Ok(expected
            .into_iter()
            .filter(|id| !applied.iter().any(|known| known == id))
            .collect())
    }

    /// The pool's figures now.
    pub(super) fn pool(&self) -> deadpool::Status {
        match self {
            Self::Sqlite(store) => store.pool(),
            Self::Postgres(store) => store.pool(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_the_same_from_both_sides() {
        for (sqlite, postgres) in [
            ("12.5", "12.5000"),
            ("100.0", "100.0000"),
            ("0.0", "0.0000"),
            ("7", "7.0000"),
        ] {
            assert_eq!(decimal(sqlite), decimal(postgres));
        }
        assert_eq!(decimal("100"), "100");
    }

    #[test]
    fn refuses_what_no_database_should_see() {
        let tool = |external_id: &str, title: &str, price: Option<&str>| NewTool {
            external_id: external_id.into(),
            title: title.into(),
            slug: Some("  Mixed-Case ".into()),
            summary: None,
            body: String::new(),
            category_id: None,
            price: price.map(str::to_string),
            is_published: true,
        };
        let id = "0A0B0C0D-0000-4000-8000-00000000000F";
        let good = tool(id, "t", Some("19.99")).checked().expect("a good tool");
        assert_eq!(
            (good.external_id.as_str(), good.slug.as_deref()),
            (&*id.to_lowercase(), Some("mixed-case"))
        );
        assert!(tool("0a0b", "t", None).checked().is_err());
        assert!(tool(id, " ", None).checked().is_err());
        assert!(tool(id, "t", Some("1e9")).checked().is_err());
    }
}
