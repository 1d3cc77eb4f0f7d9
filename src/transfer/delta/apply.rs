//! The changes themselves, inside the one transaction: tables that go anew, then rows that are deleted, updated and inserted; what is in the way
//! is away meanwhile and comes back, proven.
//!
//! A row whose key stays is updated, for deleting it would take along what refers to it. Only where an update collides, because two rows exchange
//! a value that is unique, the table's rows are deleted and inserted.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::ours::statements::{self, Emptied, Name};
use crate::postgres::catalogue::RelationKind;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::copy::record::{Definition, DefinitionKind};
use crate::transfer::delta::keys::Key;
use crate::transfer::delta::refusal::Refusal;
use crate::transfer::delta::refused;
use crate::transfer::delta::ways::Rows;
use crate::transfer::layout::TableLayout;

/// Rows that changed in one table, as PostgreSQL counted them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counted {
    /// Inserted.
    pub inserted: u64,
    /// Updated.
    pub updated: u64,
    /// Deleted.
    pub deleted: u64,
}

/// What is away, and comes back in this order.
#[derive(Debug, Default)]
pub struct Away {
    /// Foreign keys that were taken away.
    pub foreign: Vec<Definition>,
    /// Foreign keys whose check waits.
    waiting: Vec<Key>,
}

/// What the transaction works with.
pub struct Work<'w> {
    /// The one connection.
    pub client: &'w Client,
    /// What may be in the way: triggers, forced row security, foreign keys.
    pub definitions: &'w [Definition],
}

impl Work<'_> {
    /// Runs statements of ours.
    pub async fn run(&self, sql: &str, doing: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await.map_err(refused(doing))
    }

    /// Takes triggers and forced row security away, or puts them back.
    pub async fn beside(&self, away: bool) -> Result<(), Error> {
        for definition in self.definitions {
            let is_beside = match definition.kind {
                DefinitionKind::Trigger | DefinitionKind::RowSecurity => true,
                DefinitionKind::Foreign | DefinitionKind::Key | DefinitionKind::Index => false,
            };
            if is_beside {
                let (sql, doing) = match away {
                    true => (&definition.take_away, "away"),
                    false => (&definition.put_back, "back"),
                };
                self.run(sql, &taking(definition, doing)).await?;
            }
        }
        Ok(())
    }

    /// Takes a foreign key away.
    async fn take(&self, away: &mut Away, key: &Key) -> Result<(), Error> {
        let is_it = |definition: &&Definition| {
            definition.kind == DefinitionKind::Foreign
                && definition.table_oid == key.child_oid
                && definition.name == key.name
        };
        let known = self.definitions.iter().find(is_it);
        let Some(definition) = known else {
            return Err(Error::Changed {
                table: key.child.name.clone(),
                what: format!("foreign key {} is new", printable(&key.name, 80)),
            });
        };
        self.run(&definition.take_away, &taking(definition, "away"))
            .await?;
        away.foreign.push(definition.clone());
        Ok(())
    }

    /// Empties tables that go anew, with every foreign key on or to them away.
    pub async fn empty(
        &self,
        tables: &[&TableLayout],
        around: &[Key],
        away: &mut Away,
    ) -> Result<(), Error> {
        let is_anew = |oid: u32| tables.iter().any(|table| table.target.oid == oid);
        for key in around {
            if is_anew(key.child_oid) || is_anew(key.parent_oid) {
                self.take(away, key).await?;
            }
        }
        let emptied = tables.iter().map(|table| Emptied {
            table: Name::new(&table.schema, &table.target.name),
            is_partitioned: table.target.kind == RelationKind::Partitioned,
        });
        let emptied: Vec<Emptied> = emptied.collect();
        match statements::truncate(&emptied) {
            Some(statement) => self.run(&statement, "emptying tables that go anew").await,
            None => Ok(()),
        }
    }

    /// Brings the staged rows of all tables, which are in the order children before parents. What could be tried in vain is taken back.
    pub async fn rows(
        &self,
        tables: &mut [Rows],
        around: &[Key],
        away: &mut Away,
    ) -> Result<Vec<Counted>, Error> {
        let taken = away.foreign.len();
        loop {
            self.run("SAVEPOINT cutover_rows", "beginning").await?;
            self.ready(tables, around, away).await?;
            match self.attempt(tables).await? {
                Attempt::Done(counted) => {
                    // Before anything is altered: what waits for its check stands against that.
                    self.run(
                        "SET CONSTRAINTS ALL IMMEDIATE",
                        "checking the foreign keys of the changed rows",
                    )
                    .await?;
                    return Ok(counted);
                }
                Attempt::Collides(place) => {
                    self.run("ROLLBACK TO SAVEPOINT cutover_rows", "beginning again")
                        .await?;
                    tables[place].again = true;
                    away.foreign.truncate(taken);
                    away.waiting.clear();
                }
            }
        }
    }

    /// Takes away what would act on rows that did not change, and lets every other check wait.
    async fn ready(&self, tables: &[Rows], around: &[Key], away: &mut Away) -> Result<(), Error> {
        for key in around {
            let is_away = away.foreign.iter().any(|definition| {
                definition.table_oid == key.child_oid && definition.name == key.name
            });
            if is_away {
                continue;
            }
            if key.acts(self.client, tables).await? {
                self.take(away, key).await?;
            } else if !key.deferrable {
                let doing = format!("letting the check of {} wait", printable(&key.name, 80));
                self.run(&key.wait(), &doing).await?;
                away.waiting.push(key.clone());
            }
        }
        self.run("SET CONSTRAINTS ALL DEFERRED", "letting checks wait")
            .await
    }

    /// Deletes and updates children before parents, then inserts parents before children.
    async fn attempt(&self, tables: &[Rows]) -> Result<Attempt, Error> {
        let mut counted = vec![Counted::default(); tables.len()];
        for (place, table) in tables.iter().enumerate() {
            let doing = format!("deleting rows of {}", table.shown);
            let delete = statements::delete_rows(&table.name, &table.goes(&table.name.quoted()));
            counted[place].deleted = self.change(&delete, &doing).await?;
            if table.again {
                continue;
            }
            match self.client.execute(&update(table), &[]).await {
                Ok(rows) => counted[place].updated = rows,
                Err(error) if collides(&error) => return Ok(Attempt::Collides(place)),
                Err(error) => {
                    return Err(refused(&format!("updating rows of {}", table.shown))(error));
                }
            }
        }
        for (place, table) in tables.iter().enumerate().rev() {
            let doing = format!("inserting rows of {}", table.shown);
            counted[place].inserted = self.change(&insert(table), &doing).await?;
        }
        Ok(Attempt::Done(counted))
    }

    async fn change(&self, sql: &str, doing: &str) -> Result<u64, Error> {
        let changed = self.client.execute(sql, &[]).await;
        changed.map_err(refused(doing))
    }

    /// Puts every foreign key back as it was, proven against every row.
    pub async fn put_back(&self, away: &Away) -> Result<(), Error> {
        for key in &away.waiting {
            let doing = format!("checking {} at once again", printable(&key.name, 80));
            self.run(&key.wait_no_more(), &doing).await?;
        }
        for definition in &away.foreign {
            let doing = taking(definition, "back");
            self.run(&definition.put_back, &doing).await?;
            if let Some(prove) = &definition.prove {
                self.run(prove, &doing).await?;
            }
        }
        Ok(())
    }
}

/// How an attempt ended.
enum Attempt {
    Done(Vec<Counted>),
    /// Two rows of the table at this place exchange a value that is unique.
    Collides(usize),
}

fn taking(definition: &Definition, whither: &str) -> String {
    format!(
        "taking {} of {} {whither}",
        printable(&definition.name, 80),
        printable(&definition.table, 80)
    )
}

fn collides(error: &tokio_postgres::Error) -> bool {
    let known = [SqlState::UNIQUE_VIOLATION, SqlState::EXCLUSION_VIOLATION];
    error.code().is_some_and(|code| known.contains(code))
}

fn update(table: &Rows) -> String {
    let set = table
        .settable
        .iter()
        .map(|column| format!("{column} = n.{column}"));
    format!(
        "UPDATE ONLY {} AS t SET {} FROM {} AS n WHERE {}",
        table.name.quoted(),
        set.collect::<Vec<_>>().join(", "),
        table.new,
        table.same("n", "t")
    )
}

fn insert(table: &Rows) -> String {
    let name = table.name.quoted();
    let values = table.columns.iter().map(|column| format!("n.{column}"));
    format!(
        "INSERT INTO {name} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} AS n WHERE NOT EXISTS (SELECT FROM ONLY {name} AS t WHERE {})",
        table.columns.join(", "),
        values.collect::<Vec<_>>().join(", "),
        table.new,
        table.same("n", "t")
    )
}

/// What has to be there of the staged rows before anything changes.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    /// Rows that stay, with other values.
    staying: u64,
    /// Rows of the older snapshot that the delta tells of.
    older: u64,
    /// Rows of the newer one.
    newer: u64,
}

/// Makes sure that PostgreSQL holds every row as it was, value by value, and none that is to be inserted: what somebody wrote there since the import
/// is not written over.
pub async fn expected(client: &Client, table: &Rows) -> Result<Expected, Error> {
    let sql = format!(
        "SELECT (SELECT count(*) FROM {old}), (SELECT count(*) FROM {new}),
                (SELECT count(*) FROM {old} AS o JOIN ONLY {name} AS t ON {was} WHERE {unchanged}), (SELECT count(*) FROM {new} AS n JOIN ONLY {name} AS t ON {is}),
                (SELECT count(*) FROM {old} AS o JOIN {new} AS n ON {stays})",
        old = table.old,
        new = table.new,
        name = table.name.quoted(),
        was = table.same("o", "t"),
        unchanged = table.unchanged("o", "t"),
        is = table.same("n", "t"),
        stays = table.same("n", "o"),
    );
    let doing = format!("looking for the changed rows of {}", table.shown);
    let row = client.query_one(&sql, &[]).await.map_err(refused(&doing))?;
    let [older, newer, was, is, staying] =
        [0, 1, 2, 3, 4].map(|place| row.get::<_, i64>(place).unsigned_abs());
    let wrong = |what: String| {
        Err(Error::Since(Refusal::NotThere {
            table: table.shown.clone(),
            what,
        }))
    };
    if was != older {
        return wrong(format!(
            "of {older} row(s) that were changed or deleted since, {was} are there as they were imported"
        ));
    }
    if is != staying {
        return wrong(format!(
            "of {} row(s) that are new since, {} are there already",
            newer.saturating_sub(staying),
            is.saturating_sub(staying)
        ));
    }
    Ok(Expected {
        staying,
        older,
        newer,
    })
}

impl Expected {
    /// Makes sure that just so many rows were changed.
    pub fn prove(self, table: &Rows, counted: Counted) -> Result<(), Error> {
        let Self {
            staying,
            older,
            newer,
        } = self;
        let wanted = if table.again {
            (newer, 0, older)
        } else {
            (newer - staying, staying, older - staying)
        };
        let found = (counted.inserted, counted.updated, counted.deleted);
        if found == wanted {
            return Ok(());
        }
        Err(Error::Since(Refusal::NotThere {
            table: table.shown.clone(),
            what: format!(
                "{} row(s) were inserted, {} updated, {} deleted where it had to be {}, {} and {}",
                found.0, found.1, found.2, wanted.0, wanted.1, wanted.2
            ),
        }))
    }
}
