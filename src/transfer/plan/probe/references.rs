//! Foreign keys over columns that do not move: the server computes them, or fills them by a default. What such a column will hold, only the
//! server knows, so that it is asked with the rows of both tables. Keys whose columns all move are followed in SQLite
//! ([`super::super::consequences`]).

use std::sync::Arc;

use crate::postgres::catalogue::{Column, Constraint, ConstraintKind};
use crate::postgres::quoted;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::error::{server, server_message};
use crate::transfer::layout::{Layout, TableLayout, structural};
use crate::transfer::plan::Problem;
use crate::transfer::plan::consequences::{self, Fates, is_checked};
use crate::transfer::plan::probe::questions::{PROBE, Question, Questions};
use crate::transfer::plan::probe::rules::mentions;
use crate::transfer::plan::probe::{Asker, Found, begin, end, fault, load};
use crate::transfer::plan::scan::LISTED_PER_COLUMN;
use crate::transfer::rows::Foreseen;

/// Where the rows of the table that is referred to lie meanwhile.
const PARENTS: &str = "pg_temp.cutover_parents";

/// Rows of the table at `child` whose keys, over columns that do not move, find no row; and keys that could not be asked about.
pub async fn probe(
    asker: Asker<'_>,
    layout: &Layout,
    child: usize,
    fates: &Fates,
    lists: bool,
) -> Result<(Vec<Found>, Vec<Problem>), Error> {
    let (mut found, mut notes) = (Vec::new(), Vec::new());
    for (key, parent) in keys(layout, child) {
        let pair = Pair {
            child: &layout.tables[child],
            parent: &layout.tables[parent],
            key,
        };
        if pair.is_never_filled() {
            continue;
        }
        begin(asker.client, &pair.child.schema).await?;
        let asked = pair
            .ask(asker, (&fates[child], &fates[parent]), lists)
            .await;
        let rolled_back = end(asker.client).await;
        match asked {
            Ok(rows) => found.extend(rows),
            // A column cannot be computed from some row, which is told by itself.
            Err(Error::Server { source, .. }) if source.as_db_error().is_some() => {
                let why = server_message(&source);
                let name = printable(&key.name, 80);
                let reason = format!("{name} could not be asked beforehand: {why}");
                notes.push(structural(&pair.child.source.name, "", reason, None));
            }
            Err(error) => return Err(error),
        }
        rolled_back?;
    }
    Ok((found, notes))
}

/// Keys between tables that move, over a column that does not.
fn keys(layout: &Layout, child: usize) -> Vec<(&Constraint, usize)> {
    let table = &layout.tables[child];
    let moves = |table: &TableLayout, name: &String| {
        let mut columns = table.columns.iter();
        columns.any(|column| column.target.name == *name)
    };
    let keys = table.target.constraints.iter();
    keys.filter(|key| key.kind == ConstraintKind::Foreign && is_checked(key))
        .filter_map(|key| Some((key, consequences::parent(layout, key)?)))
        .filter(|(key, parent)| {
            let parent = &layout.tables[*parent];
            let here = key.columns.iter().all(|name| moves(table, name));
            !here
                || !key
                    .referenced_columns
                    .iter()
                    .all(|name| moves(parent, name))
        })
        .collect()
}

struct Pair<'l> {
    child: &'l TableLayout,
    parent: &'l TableLayout,
    key: &'l Constraint,
}

impl Pair<'_> {
    /// Whether a column of the key stays NULL, so that no row refers to anything.
    fn is_never_filled(&self) -> bool {
        let empty = |name: &String| {
            let moves = self.child.columns.iter().any(|c| c.target.name == *name);
            let column = self.child.target.column(name);
            !moves && column.is_some_and(|column| !column.generated && !column.has_default)
        };
        !consequences::is_full(self.key) && self.key.columns.iter().any(empty)
    }

    /// A column of either side that is numbered anew while the rows are loaded.
    fn counted(&self) -> Option<(&TableLayout, &Column)> {
        let ends = [
            (self.child, &self.key.columns),
            (self.parent, &self.key.referenced_columns),
        ];
        let counts = |table: &TableLayout, name: &String| {
            let moves = table.columns.iter().any(|c| c.target.name == *name);
            let column = table.target.column(name).filter(|_| !moves)?;
            let expression = column.expression.as_deref().unwrap_or_default();
            let counts = column.identity.is_some() || expression.contains("nextval(");
            counts.then(|| column.name.clone())
        };
        ends.into_iter().find_map(|(table, names)| {
            let name = names.iter().find_map(|name| counts(table, name))?;
            Some((table, table.target.column(&name)?))
        })
    }

    async fn ask(
        &self,
        asker: Asker<'_>,
        (here, there): (&Arc<Foreseen>, &Arc<Foreseen>),
        lists: bool,
    ) -> Result<Vec<Found>, Error> {
        let doing = || {
            format!(
                "looking for the rows that {} wants",
                printable(&self.key.name, 80)
            )
        };
        let run = |sql: String| async move {
            asker
                .client
                .batch_execute(&sql)
                .await
                .map_err(server(doing()))
        };
        let parents = Questions::of_filled(self.parent, &self.key.referenced_columns);
        run(parents.create.clone()).await?;
        load(asker, self.parent, &parents, there).await?;
        run(format!(
            "{}; ALTER TABLE {PROBE} RENAME TO cutover_parents",
            parents.ready
        ))
        .await?;
        let children = Questions::of_filled(self.child, &self.key.columns);
        run(children.create.clone()).await?;
        load(asker, self.child, &children, here).await?;
        run(children.ready.clone()).await?;
        let (question, referring) = self.question();
        let limit = match lists {
            true => format!(" LIMIT {LISTED_PER_COLUMN}"),
            false => String::new(),
        };
        let sql = format!("{}{limit}", question.sql);
        let rows = asker.client.query(&sql, &[]).await;
        let rows = rows.map_err(server(doing()))?;
        let all = asker.client.query_one(&referring, &[]).await;
        let all: i64 = all.map_err(server(doing()))?.get(0);
        let is_all = all > 1 && usize::try_from(all).is_ok_and(|all| all == rows.len());
        let found = rows.iter().map(|row| {
            let at = fault(row, &question);
            let mut found = question.found(self.child, at.row, String::new(), at.reason);
            // Where no row at all finds its parent, it is the column that is wrong and not the rows.
            if is_all || self.counted().is_some() {
                found.reads.clear();
            }
            found
        });
        Ok(found.collect())
    }

    /// The rows at fault, and SQL that counts those that refer to something.
    fn question(&self) -> (Question, String) {
        let columns: Vec<String> = self.key.columns.iter().map(|name| quoted(name)).collect();
        let refers = consequences::refers(self.key, columns.iter());
        let equal = columns.iter().zip(&self.key.referenced_columns);
        let equal: Vec<String> = equal
            .map(|(here, there)| format!("p.{} = cutover_probe.{here}", quoted(there)))
            .collect();
        // What is numbered anew is other than before, whatever it will be.
        let missing = match self.counted() {
            Some(_) => String::new(),
            None => format!(
                " AND NOT EXISTS (SELECT FROM {PARENTS} AS p WHERE {})",
                equal.join(" AND ")
            ),
        };
        let reads = self.reads();
        let (wish, wished) = consequences::wish(self.child, self.key);
        let stated = consequences::stated(self.child, self.key).map(|(column, _)| column);
        let column = match stated.unwrap_or(wish) {
            "" => reads.first().map_or("", String::as_str),
            column => column,
        };
        let mut question = Question::of_rows(
            &self.key.name,
            column.to_owned(),
            &format!("{refers}{missing}"),
            self.reason(),
        )
        .reading(reads.clone(), self.mend());
        question.wished = wished;
        (
            question,
            format!("SELECT count(*) FROM {PROBE} WHERE {refers}"),
        )
    }

    /// The source columns that decide about the child's key.
    fn reads(&self) -> Vec<String> {
        let mut reads = Vec::new();
        for name in &self.key.columns {
            let computed = self.child.target.column(name);
            let computed = computed.filter(|column| column.generated);
            let expression = computed.and_then(|column| column.expression.as_deref());
            let of = self.child.columns.iter().filter(|moving| {
                moving.target.name == *name
                    || expression
                        .is_some_and(|expression| mentions(expression, &moving.target.name))
            });
            reads.extend(of.map(|moving| self.child.source_name(moving).to_owned()));
        }
        reads
    }

    /// The columns of the key that do not move, for people.
    fn unmoved(&self) -> String {
        let names = |table: &TableLayout, names: &[String]| -> Vec<String> {
            let stays = |name: &&String| !table.columns.iter().any(|c| c.target.name == **name);
            let shown = |name: &String| {
                format!(
                    "{}.{}",
                    printable(&table.target.name, 80),
                    printable(name, 80)
                )
            };
            names.iter().filter(stays).map(shown).collect()
        };
        let mut all = names(self.child, &self.key.columns);
        all.extend(names(self.parent, &self.key.referenced_columns));
        all.join(", ")
    }

    fn reason(&self) -> String {
        let (key, unmoved) = (printable(&self.key.name, 80), self.unmoved());
        match self.counted() {
            Some((table, column)) => format!(
                "{}.{} does not move and is numbered anew, so that the references of {key} hold no more",
                printable(&table.target.name, 80),
                printable(&column.name, 80)
            ),
            None => format!(
                "no such row in {}, which {key} wants: PostgreSQL fills {unmoved} by itself",
                printable(&self.parent.source.name, 80)
            ),
        }
    }

    fn mend(&self) -> String {
        let moves = |name: &str| self.child.columns.iter().any(|c| c.target.name == name);
        let filled = self.key.columns.iter().filter(|name| {
            let column = self.child.target.column(name);
            let is_plain = |column: &Column| {
                column.has_default && !column.generated && column.identity.is_none()
            };
            !moves(name.as_str()) && column.is_some_and(is_plain)
        });
        let drops: Vec<String> = filled
            .map(|name| format!("ALTER COLUMN {} DROP DEFAULT", quoted(name)))
            .collect();
        let less = match drops.is_empty() {
            true => String::new(),
            false => format!(
                "; ALTER TABLE {} {} leaves it NULL where it may be",
                quoted(&self.child.target.name),
                drops.join(", ")
            ),
        };
        format!(
            "{} has to move with its values, or to get another default in the target{less}",
            self.unmoved()
        )
    }
}
