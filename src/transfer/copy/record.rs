//! What an import keeps in the target, in a schema of its own: which import, which task stands where, which definitions are gone.
//!
//! Each change is made in the same transaction as what it tells of. Nothing here knows SQLite. Which definitions are away at the moment,
//! as a reader of the catalogue needs to know, is [`super::away`]'s.

use serde::{Deserialize, Serialize};
use strum::{EnumIter, IntoEnumIterator as _, IntoStaticStr};
use tokio_postgres::{Client, GenericClient};

use crate::ours::statements::{self, Name};
use crate::postgres::catalogue::{Constraint, Index};
use crate::postgres::own_schema;
use crate::transfer::Error;
use crate::transfer::error::server;
use crate::transfer::reader::{Cursor, Span};

pub const SCHEMA: &str = "cutover";

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS cutover.import (
  key text PRIMARY KEY, target_schema text NOT NULL, began timestamptz NOT NULL DEFAULT now(),
  prepared boolean NOT NULL DEFAULT false, finished timestamptz);
CREATE TABLE IF NOT EXISTS cutover.task (
  import text NOT NULL REFERENCES cutover.import ON DELETE CASCADE, number integer NOT NULL, source_table text NOT NULL,
  target_oid oid NOT NULL, span_from bigint NOT NULL, span_to bigint NOT NULL, position text NOT NULL, rows bigint NOT NULL DEFAULT 0,
  bytes bigint NOT NULL DEFAULT 0, done boolean NOT NULL DEFAULT false, PRIMARY KEY (import, number));
CREATE TABLE IF NOT EXISTS cutover.definition (
  import text NOT NULL REFERENCES cutover.import ON DELETE CASCADE, number integer NOT NULL, kind text NOT NULL,
  table_oid oid NOT NULL, table_name text NOT NULL, other_oid oid, name text NOT NULL, take_away text NOT NULL, put_back text NOT NULL,
  prove text, state text NOT NULL DEFAULT 'recorded', PRIMARY KEY (import, number));
ALTER TABLE cutover.import ADD COLUMN IF NOT EXISTS made_of jsonb NOT NULL DEFAULT '{}';
ALTER TABLE cutover.task ADD COLUMN IF NOT EXISTS aside bigint NOT NULL DEFAULT 0;
ALTER TABLE cutover.definition ADD COLUMN IF NOT EXISTS described jsonb NOT NULL DEFAULT '{}';
CREATE TABLE IF NOT EXISTS cutover.account (
  import text NOT NULL REFERENCES cutover.import ON DELETE CASCADE, source_table text NOT NULL, source_rows bigint NOT NULL,
  aside_rows bigint NOT NULL, sent_rows bigint NOT NULL, target_rows bigint NOT NULL, PRIMARY KEY (import, source_table));
ALTER TABLE cutover.account ADD COLUMN IF NOT EXISTS left_rows bigint;
CREATE TABLE IF NOT EXISTS cutover.quarantine (
  import text NOT NULL REFERENCES cutover.import ON DELETE CASCADE, source_table text NOT NULL, source_row text NOT NULL,
  source_column text NOT NULL, reason text NOT NULL, content jsonb NOT NULL);
CREATE TABLE IF NOT EXISTS cutover.policy_use (
  import text NOT NULL REFERENCES cutover.import ON DELETE CASCADE, source_table text NOT NULL, policy text NOT NULL,
  uses bigint NOT NULL, PRIMARY KEY (import, source_table, policy));";

/// An import as recorded.
#[derive(Debug, Clone)]
pub struct Import {
    pub key: String,
    /// What its key is made of.
    pub made_of: MadeOf,
    /// Definitions are gone and tables are ready to be filled.
    pub prepared: bool,
    pub finished: bool,
}

/// What an import's key is made of, each part as a hash or a name, so that another import can say in what it differs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MadeOf {
    /// The source's content, or the name of the run that vouches for it.
    pub source: String,
    /// Tables and columns, paired.
    pub tables: String,
    /// The transfer section.
    pub transfer: String,
}

/// One table, or a range of one, and how far it is.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its place in the order (`D1`).
    pub number: i32,
    pub table: String,
    pub target_oid: u32,
    pub span: Span,
    /// The last row that is in.
    pub cursor: Cursor,
    pub rows: u64,
    /// Rows read and put aside.
    pub aside: u64,
    pub bytes: u64,
    /// All rows are in.
    pub done: bool,
}

/// What is taken away for the load and put back after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Definition {
    /// Its place: taken away in this order.
    pub number: i32,
    pub kind: DefinitionKind,
    /// The table it is on.
    pub table_oid: u32,
    /// That table's name.
    pub table: String,
    /// The table that a foreign key refers to.
    pub other_oid: Option<u32>,
    pub name: String,
    /// SQL that takes it away.
    pub take_away: String,
    /// SQL that puts it back.
    pub put_back: String,
    /// SQL that proves the rows against it afterwards.
    pub prove: Option<String>,
    /// What the catalogue says of it while it is in force.
    #[serde(skip)]
    pub described: Described,
    pub state: DefinitionState,
}

/// What the catalogue says of a key, an index or a foreign key of a planned table.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Described {
    pub constraint: Option<Constraint>,
    pub index: Option<Index>,
}

// Two readings of one catalogue describe the same thing by the same text.
impl PartialEq for Described {
    fn eq(&self, other: &Self) -> bool {
        let text = |described: &Self| serde_json::to_string(described).ok();
        text(self) == text(other)
    }
}

impl Eq for Described {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, EnumIter, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum DefinitionKind {
    /// A trigger that must not fire.
    Trigger,
    /// Row-level security forced on the owner.
    RowSecurity,
    /// A foreign key.
    Foreign,
    /// A primary key or unique constraint.
    Key,
    Index,
}

impl DefinitionKind {
    fn word(self) -> &'static str {
        self.into()
    }

    /// As read back.
    pub fn of_word(word: &str) -> Self {
        let known = Self::iter().find(|kind| kind.word() == word);
        known.unwrap_or(Self::Index)
    }
}

/// Where a definition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, EnumIter, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum DefinitionState {
    /// Written down, still in force.
    Recorded,
    /// Could not be taken away, because something else hangs on it; stays in force.
    Kept,
    Away,
    /// Back, its rows not yet proven.
    Unproven,
    Back,
}

impl DefinitionState {
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// As read back.
    pub fn of_word(word: &str) -> Self {
        let known = Self::iter().find(|state| state.word() == word);
        known.unwrap_or(Self::Recorded)
    }
}

/// Text that PostgreSQL can hold.
pub(in crate::transfer) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Makes the schema and its tables where they are missing, or an older version made them. Takes no lock where they are as they should.
pub async fn create(client: &impl GenericClient) -> Result<(), Error> {
    let doing = || server("looking for the schema cutover");
    let row = client
        .query_one(
            "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('cutover.account') AND attname = 'left_rows'),
               EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)",
            &[&SCHEMA],
        )
        .await
        .map_err(doing())?;
    let (is_current, exists): (bool, bool) = (row.get(0), row.get(1));
    if is_current {
        return Ok(());
    }
    // A role that may use the schema need not be one that may make it. In one go with the tables, under the lock that the schema takes.
    let make = if exists { "" } else { own_schema::MAKE };
    client
        .batch_execute(&format!("{make}{TABLES}"))
        .await
        .map_err(server("making the tables of the schema cutover"))
}

/// Whether there is a record, brought into the present form.
pub async fn exists(client: &Client) -> Result<bool, Error> {
    let row = client
        .query_one("SELECT to_regclass('cutover.import') IS NOT NULL", &[])
        .await
        .map_err(server("looking for the schema cutover"))?;
    let exists = row.get(0);
    if exists {
        create(client).await?;
    }
    Ok(exists)
}

/// The imports into `schema` that are recorded, unfinished ones first.
pub async fn imports(client: &Client, schema: &str) -> Result<Vec<Import>, Error> {
    let rows = client
        .query(
            "SELECT key, prepared, finished IS NOT NULL, made_of::text FROM cutover.import WHERE target_schema = $1 ORDER BY finished NULLS FIRST, began",
            &[&schema],
        )
        .await
        .map_err(server("reading the recorded imports"))?;
    Ok(rows
        .iter()
        .map(|row| Import {
            key: row.get(0),
            prepared: row.get(1),
            finished: row.get(2),
            // What an older version did not write down differs in everything.
            made_of: serde_json::from_str(row.get(3)).unwrap_or_default(),
        })
        .collect())
}

/// Rows that an earlier import put aside go with its record. Those of tables that this one brings it judges anew; others are nowhere else in
/// the target.
async fn keeps_what_was_put_aside(
    transaction: &impl GenericClient,
    key: &str,
    schema: &str,
    tasks: &[Task],
) -> Result<(), Error> {
    let brought: Vec<String> = tasks.iter().map(|task| storable(&task.table)).collect();
    let asked = "SELECT count(*), min(q.source_table) FROM cutover.quarantine q JOIN cutover.import i ON i.key = q.import
                 WHERE i.target_schema = $1 AND i.key <> $2 AND q.source_table <> ALL ($3)";
    let row = transaction
        .query_one(asked, &[&schema, &key, &brought])
        .await
        .map_err(server("looking for rows that were put aside"))?;
    match (row.get::<_, i64>(0), row.get::<_, Option<String>>(1)) {
        (rows, Some(table)) if rows > 0 => Err(Error::PutAside {
            schema: schema.to_owned(),
            rows,
            table,
        }),
        _ => Ok(()),
    }
}

/// Records a new import with its tasks and definitions, inside the transaction that takes the definitions away. What is recorded of
/// others into the same schema goes; the caller has taken over what they left open.
pub async fn begin(
    transaction: &impl GenericClient,
    import: &Import,
    schema: &str,
    tasks: &[Task],
    definitions: &[Definition],
) -> Result<(), Error> {
    let doing = || "recording the import";
    let key = &import.key;
    let made_of = serde_json::to_string(&import.made_of).expect("BUG: names are always JSON");
    keeps_what_was_put_aside(transaction, key, schema, tasks).await?;
    transaction
        .execute(
            &statements::delete_rows(
                &Name::new(SCHEMA, "import"),
                "target_schema = $1 OR key = $2",
            ),
            &[&schema, key],
        )
        .await
        .map_err(server(doing()))?;
    transaction
        .execute(
            "INSERT INTO cutover.import (key, target_schema, prepared, made_of) VALUES ($1, $2, $3, $4::text::jsonb)",
            &[key, &schema, &import.prepared, &made_of],
        )
        .await
        .map_err(server(doing()))?;
    for task in tasks {
        let position = serde_json::to_string(&task.cursor).expect("BUG: a cursor is always JSON");
        transaction
            .execute(
                "INSERT INTO cutover.task (import, number, source_table, target_oid, span_from, span_to, position)
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
                &[&key, &task.number, &storable(&task.table), &task.target_oid, &task.span.from, &task.span.to, &position],
            )
            .await
            .map_err(server(doing()))?;
    }
    for definition in definitions {
        let described =
            serde_json::to_string(&definition.described).expect("BUG: names are always JSON");
        transaction
            .execute(
                "INSERT INTO cutover.definition (import, number, kind, table_oid, table_name, other_oid, name, take_away, put_back,
                                                 prove, state, described)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::text::jsonb)",
                &[
                    &key,
                    &definition.number,
                    &definition.kind.word(),
                    &definition.table_oid,
                    &definition.table,
                    &definition.other_oid,
                    &definition.name,
                    &definition.take_away,
                    &definition.put_back,
                    &definition.prove,
                    &definition.state.word(),
                    &described,
                ],
            )
            .await
            .map_err(server(doing()))?;
    }
    Ok(())
}

/// The tasks of an import in their order. Waits for transactions that an earlier connection may have left at work on them.
pub async fn tasks(client: &impl GenericClient, key: &str) -> Result<Vec<Task>, Error> {
    let rows = client
        .query(
            "SELECT number, source_table, target_oid, span_from, span_to, position, rows, bytes, done, aside FROM cutover.task
             WHERE import = $1 ORDER BY number FOR UPDATE",
            &[&key],
        )
        .await
        .map_err(server("reading the checkpoints"))?;
    rows.iter()
        .map(|row| {
            Ok(Task {
                number: row.get(0),
                table: row.get(1),
                target_oid: row.get(2),
                span: Span {
                    from: row.get(3),
                    to: row.get(4),
                },
                cursor: cursor(row.get(5))?,
                rows: row.get::<_, i64>(6).unsigned_abs(),
                bytes: row.get::<_, i64>(7).unsigned_abs(),
                done: row.get(8),
                aside: row.get::<_, i64>(9).unsigned_abs(),
            })
        })
        .collect()
}

/// A recorded position.
pub fn cursor(json: &str) -> Result<Cursor, Error> {
    serde_json::from_str(json).map_err(|error| {
        Error::Target(format!(
            "a checkpoint in the schema cutover cannot be read: {error}"
        ))
    })
}

/// The definitions of an import in their order.
pub async fn definitions(client: &Client, key: &str) -> Result<Vec<Definition>, Error> {
    let rows = client
        .query(
            "SELECT number, kind, table_oid, table_name, other_oid, name, take_away, put_back, prove, state, described::text
             FROM cutover.definition WHERE import = $1 ORDER BY number",
            &[&key],
        )
        .await
        .map_err(server("reading the recorded definitions"))?;
    Ok(rows
        .iter()
        .map(|row| Definition {
            number: row.get(0),
            kind: DefinitionKind::of_word(row.get(1)),
            table_oid: row.get(2),
            table: row.get(3),
            other_oid: row.get(4),
            name: row.get(5),
            take_away: row.get(6),
            put_back: row.get(7),
            prove: row.get(8),
            state: DefinitionState::of_word(row.get(9)),
            described: serde_json::from_str(row.get(10)).unwrap_or_default(),
        })
        .collect())
}

/// SQL that sets a definition's state, for the transaction that brings it about.
pub fn set_state(key: &str, number: i32, state: DefinitionState) -> String {
    let key = crate::transfer::session::literal(key);
    format!(
        "UPDATE cutover.definition SET state = '{}' WHERE import = {key} AND number = {number}",
        state.word()
    )
}
