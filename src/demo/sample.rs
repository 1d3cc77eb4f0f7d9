//! The sample data: a tool catalogue in a SQLite file, shaped as EF Core 8 shapes it, the same for the same seed.
//!
//! Also the migrations that make the same catalogue on PostgreSQL, as an idempotent script of EF Core's kind. Not in here: who
//! reads the data ([`super::app`]).

mod values;

use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rusqlite::{Connection, Transaction, params};

use values::Values;
pub(super) use values::guid;

/// How many rows the sandbox has unless told otherwise.
pub const DEFAULT_ROWS: u32 = 50_000;
/// The least that still has rows in every table.
pub const LEAST_ROWS: u32 = 500;

/// The ids in the history table of the SQLite file.
pub const SQLITE_MIGRATIONS: [&str; 4] = [
    "20230411090512_InitialCreate",
    "20230828134501_AddTags",
    "20240116101833_AddRelations",
    "20240520071245_AddListOrder",
];

/// The ids that the PostgreSQL script writes.
pub const POSTGRES_MIGRATIONS: [&str; 4] = [
    "20241104083015_InitialCreate",
    "20241104091200_AddTags",
    "20241118140733_AddRelations",
    "20250110102044_AddListOrder",
];

/// The slug of the first tool, whatever the seed.
pub const KNOWN_SLUG: &str = "tool-1";

const PRODUCT_VERSION: &str = "8.0.11";
const SQLITE_SCHEMA: &str = include_str!("sql/sqlite.sql");
const POSTGRES_ALL_BUT_LAST: &str = include_str!("sql/postgres.sql");
const POSTGRES_LAST: &str = include_str!("sql/postgres-last.sql");
const POSTGRES_LAST_FAILS: &str = include_str!("sql/postgres-last-fails.sql");

/// What a migration script does when it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// Everything, as often as it is run.
    Good,
    /// It ends with an error in the last migration.
    Fails,
    /// It succeeds, without the last migration.
    LacksLast,
}

/// The PostgreSQL migrations as one idempotent script.
pub fn migration_script(script: Script) -> String {
    match script {
        Script::Good => [POSTGRES_ALL_BUT_LAST, POSTGRES_LAST].concat(),
        Script::Fails => [POSTGRES_ALL_BUT_LAST, POSTGRES_LAST_FAILS].concat(),
        Script::LacksLast => POSTGRES_ALL_BUT_LAST.to_string(),
    }
}

/// Why there is no sample file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fewer rows than a catalogue needs.
    #[error("{rows} rows are too few for the sample application: at least {LEAST_ROWS}")]
    TooFewRows {
        /// What was asked for.
        rows: u32,
    },
    /// SQLite refused.
    #[error("writing the sample file {}: {source}", .path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

/// How many rows each table gets. They add up to what was asked for, the migration history included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    categories: u32,
    tags: u32,
    contents: u32,
    features: u32,
    content_tags: u32,
    relations: u32,
    steps: u32,
}

impl Counts {
    fn of(rows: u32) -> Self {
        let categories = (rows / 200).clamp(12, 60);
        let tags = (rows / 100).clamp(12, 120);
        let contents = rows / 8;
        let features = rows / 3;
        let content_tags = rows / 5;
        let relations = rows / 25;
        let history = SQLITE_MIGRATIONS.len() as u32;
        let steps =
            rows - categories - tags - contents - features - content_tags - relations - history;
        Self {
            categories,
            tags,
            contents,
            features,
            content_tags,
            relations,
            steps,
        }
    }
}

/// Creates the file, in WAL mode, with exactly `rows` rows in all its tables together.
pub fn create(path: &Path, rows: u32, seed: u64) -> Result<(), Error> {
    if rows < LEAST_ROWS {
        return Err(Error::TooFewRows { rows });
    }
    let fill = || -> rusqlite::Result<()> {
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        let transaction = connection.transaction()?;
        transaction.execute_batch(SQLITE_SCHEMA)?;
        Writer {
            into: &transaction,
            values: Values::new(StdRng::seed_from_u64(seed)),
            counts: Counts::of(rows),
        }
        .all()?;
        transaction.commit()?;
        connection.pragma_update(None, "journal_mode", "WAL")
    };
    fill().map_err(|source| Error::Sqlite {
        path: path.to_path_buf(),
        source,
    })
}

struct Writer<'a> {
    into: &'a Transaction<'a>,
    values: Values,
    counts: Counts,
}

impl Writer<'_> {
    fn all(&mut self) -> rusqlite::Result<()> {
        self.history()?;
        self.categories()?;
        self.tags()?;
        self.contents()?;
        self.features()?;
        self.steps()?;
        self.content_tags()?;
        self.relations()
    }

    fn history(&self) -> rusqlite::Result<()> {
        let mut insert = self
            .into
            .prepare(r#"INSERT INTO "__EFMigrationsHistory" VALUES (?1, ?2)"#)?;
        SQLITE_MIGRATIONS
            .iter()
            .try_for_each(|id| insert.execute(params![id, PRODUCT_VERSION]).map(drop))
    }

    /// The first ten have no parent; every other one has a parent before it.
    fn categories(&mut self) -> rusqlite::Result<()> {
        let mut insert = self.into.prepare(
            r#"INSERT INTO "ToolCategories" ("Id","Name","Slug","ParentId","SortOrder","IsVisible","CreatedAt") VALUES (?1,?2,?3,?4,?5,?6,?7)"#,
        )?;
        for id in 1..=self.counts.categories {
            let name = self.values.title();
            let parent = (id > 10).then(|| self.values.rng.random_range(1..id));
            let visible = self.values.rng.random_bool(0.9);
            let (slug, created) = (values::slug(&name, id), self.values.instant());
            insert.execute(params![id, name, slug, parent, id * 10, visible, created])?;
        }
        Ok(())
    }

    fn tags(&mut self) -> rusqlite::Result<()> {
        let mut insert = self
            .into
            .prepare(r#"INSERT INTO "Tags" ("Id","Name","Slug") VALUES (?1,?2,?3)"#)?;
        for id in 1..=self.counts.tags {
            let name = self.values.word();
            insert.execute(params![id, name, values::slug(name, id)])?;
        }
        Ok(())
    }

    fn contents(&mut self) -> rusqlite::Result<()> {
        let mut insert = self.into.prepare(
            r#"INSERT INTO "ToolContents" ("Id","ExternalId","Title","Slug","Summary","Body","CategoryId","Price","AverageRating",
               "ViewCount","IsPublished","ReleasedOn","Icon","CreatedAt","UpdatedAt")
               VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)"#,
        )?;
        for id in 1..=self.counts.contents {
            let title = self.values.title();
            // One that probes can ask for by name.
            let slug = if id == 1 {
                KNOWN_SLUG.to_string()
            } else {
                values::slug(&title, id)
            };
            let values = &mut self.values;
            let category = values.maybe(0.95, |v| v.rng.random_range(1..=self.counts.categories));
            insert.execute(params![
                id,
                values.guid(),
                title,
                slug,
                values.maybe(0.8, |v| v.sentence()),
                values.paragraph(),
                category,
                values.maybe(0.7, |v| v.decimal(100_000)),
                values.maybe(0.6, |v| f64::from(v.rng.random_range(4..=20_u32)) / 4.0),
                values.rng.random_range(0..3_000_000_000_i64),
                values.rng.random_bool(0.85),
                values.maybe(0.75, |v| v.date()),
                values.maybe(0.1, |v| v.bytes()),
                values.instant(),
                values.maybe(0.6, |v| v.instant_in_microseconds()),
            ])?;
        }
        Ok(())
    }

    fn features(&mut self) -> rusqlite::Result<()> {
        let mut insert = self.into.prepare(
            r#"INSERT INTO "ToolFeatures" ("Id","ToolContentId","Name","Description","SortOrder","IsHighlighted","CreatedAt") VALUES (?1,?2,?3,?4,?5,?6,?7)"#,
        )?;
        for id in 1..=self.counts.features {
            let content = self.values.rng.random_range(1..=self.counts.contents);
            let values = &mut self.values;
            insert.execute(params![
                id,
                content,
                values.title(),
                values.maybe(0.6, |v| v.sentence()),
                id % 7,
                values.rng.random_bool(0.2),
                values.instant(),
            ])?;
        }
        Ok(())
    }

    /// Dealt round the contents, so that each has its steps numbered from one.
    fn steps(&mut self) -> rusqlite::Result<()> {
        let mut insert = self.into.prepare(
            r#"INSERT INTO "ToolSteps" ("Id","ToolContentId","StepNumber","Title","Body","EstimatedMinutes","Cost") VALUES (?1,?2,?3,?4,?5,?6,?7)"#,
        )?;
        for n in 0..self.counts.steps {
            let values = &mut self.values;
            insert.execute(params![
                n + 1,
                n % self.counts.contents + 1,
                n / self.counts.contents + 1,
                values.title(),
                values.sentence(),
                values.maybe(0.5, |v| v.rng.random_range(1..240_u32)),
                values.decimal(500),
            ])?;
        }
        Ok(())
    }

    fn content_tags(&mut self) -> rusqlite::Result<()> {
        let mut insert = self
            .into
            .prepare(r#"INSERT INTO "ToolContentTags" ("ToolContentId","TagId") VALUES (?1,?2)"#)?;
        for n in 0..self.counts.content_tags {
            let (content, round) = (n % self.counts.contents, n / self.counts.contents);
            insert.execute(params![
                content + 1,
                (content * 7 + round) % self.counts.tags + 1
            ])?;
        }
        Ok(())
    }

    fn relations(&mut self) -> rusqlite::Result<()> {
        let mut insert = self.into.prepare(
            r#"INSERT INTO "ToolContentRelations" ("ToolContentId","RelatedToolContentId","AddedAt") VALUES (?1,?2,?3)"#,
        )?;
        for n in 0..self.counts.relations {
            let (content, round) = (n % self.counts.contents, n / self.counts.contents);
            let related = (content + round * 3 + 1) % self.counts.contents;
            insert.execute(params![content + 1, related + 1, self.values.instant()])?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(connection: &Connection) -> u32 {
        let tables = [
            "__EFMigrationsHistory",
            "ToolCategories",
            "ToolContents",
            "ToolFeatures",
            "ToolSteps",
            "Tags",
            "ToolContentTags",
            "ToolContentRelations",
        ];
        tables
            .iter()
            .map(|table| {
                connection
                    .query_row(&format!("SELECT count(*) FROM \"{table}\""), [], |row| {
                        row.get::<_, u32>(0)
                    })
                    .expect("a count")
            })
            .sum()
    }

    #[test]
    fn holds_as_many_rows_as_asked_for_and_is_sound() {
        let folder = tempfile::tempdir().expect("a folder");
        for rows in [LEAST_ROWS, 4_321] {
            let path = folder.path().join(format!("{rows}.db"));
            create(&path, rows, 7).expect("a sample");
            let connection = Connection::open(&path).expect("the sample");
            assert_eq!(total(&connection), rows);
            let broken: u32 = connection
                .query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| {
                    row.get(0)
                })
                .expect("a check");
            assert_eq!(broken, 0);
            let mode: String = connection
                .query_row("PRAGMA journal_mode", [], |row| row.get(0))
                .expect("a mode");
            assert_eq!(mode, "wal");
        }
    }

    #[test]
    fn same_seed_same_rows() {
        let folder = tempfile::tempdir().expect("a folder");
        let digest = |name: &str, seed| {
            let path = folder.path().join(name);
            create(&path, LEAST_ROWS, seed).expect("a sample");
            let connection = Connection::open(&path).expect("the sample");
            let sql = r#"SELECT group_concat("ExternalId" || "Title" || "CreatedAt" || ifnull("Price", '-')) FROM "ToolContents""#;
            connection
                .query_row(sql, [], |row| row.get::<_, String>(0))
                .expect("text")
        };
        assert_eq!(digest("a", 1), digest("b", 1));
        assert_ne!(digest("c", 1), digest("d", 2));
    }

    #[test]
    fn the_script_writes_the_ids_that_are_expected() {
        let good = migration_script(Script::Good);
        assert!(
            POSTGRES_MIGRATIONS
                .iter()
                .all(|id| good.contains(&format!("VALUES ('{id}',")))
        );
        let lacks = migration_script(Script::LacksLast);
        assert!(!lacks.contains(POSTGRES_MIGRATIONS[3]));
    }
}
