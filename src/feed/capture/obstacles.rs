//! Whether the capture can be made, before it has to be: rights, tables that have no triggers, objects of somebody else's in the way. Changes
//! nothing.

use tokio_postgres::Client;

use super::statements::{self, Hears, Noting, create_function, create_trigger, function_name};
use super::tables::{self, Moved, Relation};
use super::{Captured, Error, server, shown};
use crate::ours::statements::Name;
use crate::postgres::{self, own_schema, quoted};
use crate::text::printable;

/// What is in the way of the capture of these tables, each with what would help. Empty where it can be made. A table that is not there yet
/// is passed over.
pub async fn obstacles(client: &Client, tables: &[Captured]) -> Result<Vec<String>, Error> {
    let mut said = rights(client).await?;
    let may_try = said.is_empty();
    let moved = tables::moved(client, tables).await?;
    for one in &moved {
        said.extend(of_table(one));
    }
    let functions = tables::functions(client).await?;
    for table in tables {
        let name = function_name(table.number);
        if functions.get(&name).is_some_and(|found| !found.is_ours) {
            said.push(format!(
                "the function cutover.{name}() is of an earlier session and belongs to another role, which alone may drop it"
            ));
        }
    }
    if may_try {
        said.extend(refused_by_event_triggers(client).await?);
    }
    Ok(said)
}

fn of_table(moved: &Moved<'_>) -> Vec<String> {
    let root = shown(&moved.root.name);
    let mut said = Vec::new();
    if moved.table.key.is_empty() {
        said.push(format!(
            "{root} has no key: that something was written to it is noted, but not to which rows"
        ));
    }
    let is_absent = |column: &&String| !moved.root.columns.contains(column);
    for column in moved.table.key.iter().filter(is_absent) {
        let column = printable(&quoted(column), 80);
        said.push(format!(
            "{root} has no column {column}, which is to be its key"
        ));
    }
    said.extend(moved.relations().filter_map(of_relation));
    said
}

fn of_relation(relation: &Relation) -> Option<String> {
    let (name, owner) = (
        shown(&relation.name),
        printable(&quoted(&relation.owner), 80),
    );
    match relation.kind.as_str() {
        "r" | "p" if relation.is_ours => None,
        "r" | "p" => Some(format!(
            "{name} belongs to {owner}, and only its owner may put triggers on it that fire always: connect as {owner}, or GRANT {owner} TO \
             the role of target.url"
        )),
        "f" => Some(format!(
            "{name} is a table of another server: what is written there is not noted"
        )),
        _ => Some(format!(
            "{name} is no table: what it shows is written elsewhere"
        )),
    }
}

const RIGHTS: &str = "
SELECT current_user::text, current_database()::text,
       pg_catalog.to_regnamespace('cutover') IS NOT NULL,
       coalesce((SELECT pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_schema_privilege(n.oid, 'CREATE')
                   FROM pg_catalog.pg_namespace n WHERE n.nspname = 'cutover'), false),
       pg_catalog.has_database_privilege(current_database(), 'CREATE'),
       coalesce((SELECT pg_catalog.has_language_privilege(l.oid, 'USAGE') FROM pg_catalog.pg_language l WHERE l.lanname = 'plpgsql'), false),
       (SELECT string_agg('cutover.' || c.relname, ', ' ORDER BY c.relname) FROM pg_catalog.pg_class c
         WHERE c.relnamespace = pg_catalog.to_regnamespace('cutover') AND c.relname IN ('feed_notes', 'feed_tables')
           AND NOT pg_catalog.pg_has_role(c.relowner, 'USAGE'))";

async fn rights(client: &Client) -> Result<Vec<String>, Error> {
    let row = client
        .query_one(RIGHTS, &[])
        .await
        .map_err(server("look at the role's rights"))?;
    let named = |at: usize| printable(&quoted(row.get(at)), 80);
    let (role, database) = (named(0), named(1));
    let (is_there, is_open, may_create, has_language): (bool, bool, bool, bool) =
        (row.get(2), row.get(3), row.get(4), row.get(5));
    let mut said = Vec::new();
    if is_there && !is_open {
        said.push(format!(
            "{role} may not make functions in the schema cutover: GRANT USAGE, CREATE ON SCHEMA cutover TO {role}"
        ));
    }
    if !is_there && !may_create {
        said.push(format!(
            "{role} may not make the schema cutover: GRANT CREATE ON DATABASE {database} TO {role}"
        ));
    }
    if !has_language {
        said.push(format!(
            "{role} may not write functions in plpgsql: CREATE EXTENSION plpgsql, GRANT USAGE ON LANGUAGE plpgsql TO {role}"
        ));
    }
    if let Some(tables) = row.get::<_, Option<&str>>(6) {
        said.push(format!(
            "{tables} of an earlier session belong to another role, which alone may drop them"
        ));
    }
    Ok(said)
}

/// Tried, because nobody knows what such a trigger does; and taken back.
async fn refused_by_event_triggers(client: &Client) -> Result<Option<String>, Error> {
    let doing = || server("look at the event triggers");
    let sql = "SELECT string_agg(evtname::text, ', ' ORDER BY evtname) FROM pg_catalog.pg_event_trigger WHERE evtenabled IN ('O', 'A')";
    let row = client.query_one(sql, &[]).await.map_err(doing())?;
    let Some(names) = row.get::<_, Option<String>>(0) else {
        return Ok(None);
    };
    client.batch_execute("BEGIN").await.map_err(doing())?;
    let tried = client.batch_execute(&trial()).await;
    client.batch_execute("ROLLBACK").await.map_err(doing())?;
    match tried {
        Ok(()) => Ok(None),
        Err(error) if error.code().is_some() => {
            let why = postgres::Error::of_statement("make triggers and functions", &error);
            let names = printable(&names, 200);
            Ok(Some(format!(
                "an event trigger ({names}) refuses what the capture does: {why}. From the switch to the end: ALTER EVENT TRIGGER … DISABLE"
            )))
        }
        Err(error) => Err(doing()(error)),
    }
}

/// What the capture does, to a table of our own.
fn trial() -> String {
    let table = Captured {
        number: 0,
        schema: "cutover".to_owned(),
        table: "tried".to_owned(),
        key: vec!["one".to_owned()],
    };
    let function = create_function(&table, &Noting::ByStatement);
    let trigger = create_trigger(0, Hears::Truncate, &Name::new("cutover", "tried"), false);
    format!(
        "SET LOCAL lock_timeout = '2s'; {} {}; CREATE TABLE cutover.tried (one integer PRIMARY KEY); {function}; {trigger}",
        own_schema::MAKE,
        statements::MAKE
    )
}
