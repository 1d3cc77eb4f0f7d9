//! Whether the capture still notes everything: its tables, functions and triggers are there and as they were made, and the moved tables
//! are still those of the switch. Asks only.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use super::statements::{body, function_name};
use super::tables::{self, Moved};
use super::{Captured, Error, server, shown};
use crate::text::printable;

/// What is wrong, in words that name the table.
pub(super) async fn missing(client: &Client, tables: &[Captured]) -> Result<Vec<String>, Error> {
    if !tables::are_ours_there(client).await? {
        let gone =
            "cutover.feed_notes or cutover.feed_tables is not in the target: nothing is noted";
        return Ok(vec![gone.to_owned()]);
    }
    let moved = tables::moved(client, tables).await?;
    let mut said = absent(tables, &moved);
    said.extend(functions(client, &moved).await?);
    let present = tables::present(client).await?;
    for wanted in moved.iter().flat_map(Moved::wanted) {
        if let Some(fault) = wanted.fault(&present) {
            let (table, trigger) = (shown(&wanted.relation.name), &wanted.trigger);
            said.push(format!(
                "{table}: its trigger {trigger} {fault}: what is written to it is not all noted"
            ));
        }
    }
    said.extend(changed(client, &moved).await?);
    Ok(said)
}

/// Tables that are not in the target, or not under their names any more.
pub(super) fn absent(tables: &[Captured], moved: &[Moved<'_>]) -> Vec<String> {
    let is_absent = |table: &&Captured| !moved.iter().any(|one| one.table == *table);
    let absent = tables.iter().filter(is_absent);
    absent
        .map(|table| format!("{}: there is no such table", shown(&table.name())))
        .collect()
}

async fn functions(client: &Client, moved: &[Moved<'_>]) -> Result<Vec<String>, Error> {
    let functions = tables::functions(client).await?;
    let mut said = Vec::new();
    for one in moved {
        let name = function_name(one.table.number);
        let fault = match functions.get(&name) {
            None => "is not there",
            Some(function) if function.body != body(one.table, &one.noting()) => {
                "does not fit it: the function is another one, or the table has become a whole with parts, or a part, or was one"
            }
            Some(function) if !function.may_note => {
                "does not run as its owner, or the owner may not write notes"
            }
            Some(_) => continue,
        };
        let table = shown(&one.root.name);
        said.push(format!("{table}: its function cutover.{name}() {fault}"));
    }
    Ok(said)
}

/// Tables and parts that are no longer what they were when the capture was made.
async fn changed(client: &Client, moved: &[Moved<'_>]) -> Result<Vec<String>, Error> {
    let read =
        "SELECT number, relation, name, shape FROM cutover.feed_tables ORDER BY number, name";
    let rows = client
        .query(read, &[])
        .await
        .map_err(server("read the tables of the capture"))?;
    let now = moved.iter().flat_map(Moved::numbered);
    let now: BTreeMap<(i32, u32), &str> = now
        .map(|(number, relation)| ((number, relation.oid), relation.shape.as_str()))
        .collect();
    let mut said = Vec::new();
    for row in &rows {
        let (number, relation): (i32, u32) = (row.get(0), row.get(1));
        let (name, shape): (&str, &str) = (row.get(2), row.get(3));
        let Some(whole) = moved.iter().find(|one| one.table.number == number) else {
            continue;
        };
        let (whole, name) = (shown(&whole.root.name), printable(name, 120));
        match now.get(&(number, relation)) {
            None => said.push(format!(
                "{whole}: {name} of the switch is not, or no longer, part of it: which rows went with it is not noted"
            )),
            Some(&now) if now != shape => {
                said.push(format!("{name}: its columns are not those of the switch"));
            }
            Some(_) => {}
        }
    }
    Ok(said)
}
