//! What a step leaves behind for later steps and for the report: a type for each fact, and the one way to write and to read it. A journal
//! keeps facts as JSON by name; both the names and the fields are those of the types here, and stay what they are, so that the journals of
//! earlier versions can be read. A fact that is there and cannot be read is an error: nobody takes it for one that was never left behind.
//!
//! Not in here: facts whose content is a type of the work itself, such as a fingerprint of SQLite's file (`step::facts`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::discard::Rows;
use super::event::Outcome;
use super::shape::Shape;
use super::state::{Session, StepState};
use crate::identity::{Stamp, TargetIdentity};
use crate::runbook::Role;
use crate::secret;
use crate::text::printable;

/// Characters of what is wrong with a fact.
const WHY_CHARS: usize = 300;

/// A fact of one kind.
pub trait Fact: Serialize {
    /// Under this name a journal keeps it.
    const NAME: &'static str;
}

/// A fact is there, and this version cannot read it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what {row} left behind as `{name}` cannot be read by this version of cutover: {why}")]
pub struct Unreadable {
    /// The step or the row of the rollback that left it behind.
    pub row: String,
    /// The fact's name.
    pub name: &'static str,
    /// What is wrong with it, made harmless.
    pub why: String,
}

/// All that one step left behind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Facts(Map<String, Value>);

impl Facts {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn put(&mut self, name: &str, fact: &impl Serialize) {
        let value = serde_json::to_value(fact).expect("BUG: a fact is plain data");
        self.0.insert(name.to_owned(), value);
    }

    /// `prepared` is what is done to the JSON before it is read.
    fn get<F: Fact + DeserializeOwned>(
        &self,
        row: &str,
        prepared: impl FnOnce(&Value) -> Value,
    ) -> Result<Option<F>, Unreadable> {
        let value = self.0.get(F::NAME).map(prepared);
        let read = value.map(serde_json::from_value).transpose();
        read.map_err(|error| unreadable::<F>(row, &error.to_string()))
    }
}

fn unreadable<F: Fact>(row: &str, why: &str) -> Unreadable {
    Unreadable {
        row: row.to_owned(),
        name: F::NAME,
        why: printable(why, WHY_CHARS),
    }
}

/// What a step comes to that cannot go on without the fact.
impl From<Unreadable> for Outcome {
    fn from(unreadable: Unreadable) -> Outcome {
        Outcome::failed(format!(
            "{unreadable}. Nothing was changed; go on with the version that wrote it"
        ))
    }
}

impl Outcome {
    /// With a fact for later steps and the report.
    pub fn with_fact<F: Fact>(mut self, fact: F) -> Outcome {
        self.facts.put(F::NAME, &fact);
        self
    }

    /// A fact that is in it. `row` is whose outcome it is.
    pub fn fact<F: Fact + DeserializeOwned>(&self, row: &str) -> Result<Option<F>, Unreadable> {
        self.facts.get(row, Value::clone)
    }
}

impl StepState {
    /// A fact that its last attempt left behind.
    pub fn fact<F: Fact + DeserializeOwned>(&self) -> Result<Option<F>, Unreadable> {
        let outcome = self.outcome.as_ref();
        outcome.map_or(Ok(None), |outcome| outcome.fact(&self.id))
    }
}

/// The newest one that any of these left behind.
fn newest<F: Fact + DeserializeOwned>(
    rows: &[StepState],
    prepared: impl FnOnce(&Value) -> Value,
) -> Result<Option<F>, Unreadable> {
    let mut left = rows.iter().rev().filter_map(|row| {
        let facts = &row.outcome.as_ref()?.facts;
        facts.0.contains_key(F::NAME).then_some((row, facts))
    });
    left.next()
        .map_or(Ok(None), |(row, facts)| facts.get(&row.id, prepared))
}

impl Session {
    /// A fact that a step left behind, as the journal has it: `${NAME}` stands for a secret. Of several the newest step's.
    pub fn fact<F: Fact + DeserializeOwned>(&self) -> Result<Option<F>, Unreadable> {
        newest(&self.steps, Value::clone)
    }

    /// The same with every secret that this process knows in its place, for whoever acts on it. What is made of it is masked again
    /// where it goes out.
    pub fn revealed_fact<F: Fact + DeserializeOwned>(&self) -> Result<Option<F>, Unreadable> {
        newest(&self.steps, secret::revealed_json)
    }

    /// A fact that a row of the rollback left behind; of several the newest row's.
    pub fn rollback_fact<F: Fact + DeserializeOwned>(&self) -> Result<Option<F>, Unreadable> {
        let rollback = self.rollback.as_ref();
        rollback.map_or(Ok(None), |rollback| newest(&rollback.rows, Value::clone))
    }

    /// Where the copies of the backup are, as A2 and A3 left them behind; the first one first.
    pub fn backups(&self) -> Result<Vec<Kept>, Unreadable> {
        let first = self.revealed_fact::<Backup>()?.map(|Backup(kept)| kept);
        let second = self
            .revealed_fact::<SecondCopy>()?
            .map(|SecondCopy(kept)| kept);
        Ok(first.into_iter().chain(second).collect())
    }

    /// A number that a step left behind for the triggers to compare with. `None` also where what is there is no number: a trigger that
    /// needs it is then blind, and says so.
    pub fn baseline(&self, signal: &str) -> Option<f64> {
        // Asked for each sample, so the other signals are not read.
        self.steps.iter().find_map(|step| {
            let values = step.outcome.as_ref()?.facts.0.get(Baseline::NAME)?;
            values.get(signal)?.as_f64()
        })
    }
}

/// Declares facts that are one value each; a journal has that value alone.
macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident($content:ty) = $text:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        pub struct $name(pub $content);

        impl $crate::session::facts::Fact for $name {
            const NAME: &'static str = $text;
        }
    )*};
}
pub(crate) use facts;

facts! {
    /// P1: what was said.
    Announced(String) = "announced";
    /// P2: who confirmed as what.
    Confirmed(BTreeMap<Role, String>) = "confirmed";
    /// P3: what each signal was before the freeze; [`Session::baseline`] reads it.
    Baseline(BTreeMap<String, f64>) = "baseline";
    /// A1: what the application answered from SQLite, by request; each answer in hexadecimal.
    Answers(BTreeMap<String, String>) = "answers";
    /// A2: the backup.
    Backup(Kept) = "backup";
    /// A3: its second copy.
    SecondCopy(Kept) = "second_copy";
    /// A4: how many rows the restored backup has.
    Counts(Vec<TableCount>) = "counts";
    /// B1: sessions whose rollback had taken away who may write to the target's tables, which were given back.
    GrantsGivenBack(Vec<String>) = "grants_given_back";
    /// C1: the version to which the migrations lead.
    MigrationsVersion(String) = "migrations_version";
    /// C3: files in `output/` of the session's folder, each with its SHA-256.
    KeptFiles(Vec<(String, String)>) = "kept";
    /// D1: what the plan comes to.
    PlanHash(String) = "plan_hash";
    /// D1: the tables in the order in which they go.
    Order(Vec<String>) = "order";
    /// D2: how many rows of each table were imported.
    Imported(Vec<(String, u64)>) = "imported";
    /// D2: how often each policy was used, by `Table.Column: policy`.
    Policies(BTreeMap<String, u64>) = "policies";
    /// D2, where a policy put something aside: what of each table, in words.
    PutAside(Vec<String>) = "put_aside";
    /// D2, where it was not begun: how many rows of PostgreSQL it would delete that SQLite does not have.
    Discard(Rows) = "discard";
    /// D3: the sequences, each beyond the highest id.
    Sequences(Vec<Numbered>) = "sequences";
    /// E3: that the representative write left rows behind, in a sentence.
    WriteLeftRows(String) = "write_left_rows";
    /// F1: `pg_current_snapshot()::text`. Rows that are written later are new since the switch.
    Snapshot(String) = "snapshot";
    /// F1: why it is not noted what is written to PostgreSQL, for a rollback to bring it back; `None` where it is. Left behind only where the
    /// runbook's rollback does so.
    Noted(Option<String>) = "noted";
    /// A step is done although something that it stands for was not seen: what, in words. Its points are not given.
    Unproven(String) = "unproven";
}

/// A1: the source's schema, as it was frozen.
impl Fact for Shape {
    const NAME: &'static str = "shape";
}

/// B1: by what the target is known.
impl Fact for TargetIdentity {
    const NAME: &'static str = "target_identity";
}

/// A copy of the SQLite file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Where it is.
    pub path: PathBuf,
    /// Its checksum.
    pub sha256: String,
    /// Its size.
    pub size_bytes: u64,
    /// How long it is kept, in milliseconds.
    pub keep_ms: i64,
    /// Of which freeze it is, by [`Session::frozen_ms`]. Absent in journals of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_ms: Option<i64>,
    /// What the system said of the file when its checksum was recorded. Absent in journals of before, and of a copy elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Stamp>,
}

/// The rows of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableCount {
    /// Its name, as SQLite has it.
    pub table: String,
    /// Counted by reading the table, not an index.
    pub rows: u64,
}

/// A sequence as D3 left it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Numbered {
    /// Schema and name.
    pub sequence: String,
    /// The target's table.
    pub table: String,
    /// Where it stands.
    pub last_value: i64,
    /// What proves it, for people.
    #[serde(flatten)]
    pub proof: Map<String, Value>,
}

/// R5: what was kept of the rows that users had written to PostgreSQL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Salvage {
    /// The file, where there is one.
    pub file: Option<PathBuf>,
    /// Its checksum.
    pub sha256: Option<String>,
    /// The digest of its rows, which stays the same when rows are brought in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_sha256: Option<String>,
    /// Tables with rows in it, or that it lacks.
    pub tables: Vec<TableCost>,
    /// What is not in it, and why; empty when everything is.
    pub lacks: Vec<String>,
    /// Trying again meets the same: the database that answers is not that of the night, or another session had it since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub for_good: bool,
}

impl Fact for Salvage {
    const NAME: &'static str = "salvage";
}

/// R2+: what the rollback has brought into SQLite of the rows that users had written to PostgreSQL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brought {
    /// What SQLite has of them now, for each table.
    pub tables: Vec<BroughtTable>,
    /// How many rows stay in the salvage file.
    pub left_rows: u64,
    /// The first of them, each with why.
    pub left: Vec<String>,
    /// Full-text indexes that lack what was brought in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<String>,
    /// SQLite's triggers that were not run, with what they fill.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_run: Vec<String>,
    /// The salvage file has it down too. Until then a mark in SQLite's file is the only thing that says which rows are in.
    pub noted: bool,
    /// Rows were told against what an earlier attempt had brought into SQLite: one that is inserted may be in the backup as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_told_against: bool,
}

impl Fact for Brought {
    const NAME: &'static str = "brought";
}

/// What the rollback has brought into one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BroughtTable {
    /// Its name, as SQLite has it.
    pub table: String,
    /// Rows that SQLite did not have.
    pub inserted: u64,
    /// Rows that have other values now.
    pub changed: u64,
    /// Rows that SQLite no longer has.
    pub deleted: u64,
}

impl Brought {
    /// Inserted, changed, deleted.
    pub fn sums(&self) -> [u64; 3] {
        self.tables.iter().fold([0; 3], |[i, c, d], table| {
            [i + table.inserted, c + table.changed, d + table.deleted]
        })
    }

    /// All rows of the three kinds.
    pub fn rows(&self) -> u64 {
        self.sums().iter().sum()
    }

    /// How many rows a table has now at least that had so many in the backup.
    pub fn expected(&self, table: &str, in_backup: u64) -> u64 {
        let mut tables = self.tables.iter();
        let of = tables.find(|one| one.table == table);
        of.map_or(in_backup, |one| {
            let inserted = match self.is_told_against {
                true => 0,
                false => one.inserted,
            };
            (in_backup + inserted).saturating_sub(one.deleted)
        })
    }

    /// In a sentence; `file` is the salvage file.
    pub fn sentence(&self, file: &str) -> String {
        let [inserted, changed, deleted] = self.sums();
        let rows = match self.rows() {
            1 => "1 row that users wrote to PostgreSQL is".to_owned(),
            n => format!("{n} rows that users wrote to PostgreSQL are"),
        };
        let brought =
            format!("{rows} in SQLite: {inserted} inserted, {changed} changed, {deleted} deleted");
        let first = self.left.first().map_or("", String::as_str);
        match self.left_rows {
            0 => brought,
            1 => format!("{brought}; 1 row stays in {file}: {first}"),
            n => format!("{brought}; {n} rows stay in {file}, first: {first}"),
        }
    }
}

/// What was written to one table since the switch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableCost {
    /// Its name in the source.
    pub table: String,
    /// Its name in the target.
    pub target: String,
    /// Rows that SQLite does not have.
    pub inserted: u64,
    /// Rows that SQLite has with other values.
    pub changed: u64,
    /// Rows that SQLite has and PostgreSQL no longer has.
    pub deleted: u64,
    /// Rows that were written again with the values that they had: nothing is lost with them.
    pub rewritten: u64,
    /// What is not known or not complete, and why; the numbers are then those that were found until there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lacks: Option<String>,
    /// The rows themselves broke off: those that were counted until there are in no salvage file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub broke_off: bool,
}
