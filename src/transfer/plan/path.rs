//! Whether the application will read the tables that are loaded: what its search path finds by their bare names. Where no schema of the
//! path has such a table, the application names its schema itself, and there is nothing to say.

use tokio_postgres::Client;

use crate::postgres::quoted;
use crate::runbook::transfer::Transfer;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::error::server;
use crate::transfer::layout::{Layout, structural};
use crate::transfer::plan::Plan;

/// What `accept:` says to load another schema all the same.
const ACCEPTED: &str = "search path";

/// Compares the planned tables with those that a session of this role finds, by the settings of role and database.
pub(super) async fn compare(
    client: &Client,
    layout: &Layout,
    transfer: &Transfer,
    plan: &mut Plan,
) -> Result<(), Error> {
    let doing = || server("looking at the search path of the application's sessions");
    let path = "SELECT coalesce(reset_val, '') FROM pg_settings WHERE name = 'search_path'";
    let path: String = client.query_one(path, &[]).await.map_err(doing())?.get(0);
    let names: Vec<String> = layout
        .tables
        .iter()
        .map(|table| quoted(&table.target.name))
        .collect();
    let set = "SELECT set_config('search_path', $1, true)";
    client
        .batch_execute("BEGIN READ ONLY")
        .await
        .map_err(doing())?;
    let found = async {
        client.execute(set, &[&path]).await?;
        client.query(FOUND, &[&names]).await
    };
    let found = found.await;
    client.batch_execute("ROLLBACK").await.map_err(doing())?;
    let others: Vec<(String, String)> = layout
        .tables
        .iter()
        .zip(found.map_err(doing())?)
        .filter_map(|(table, row)| {
            let (oid, schema): (Option<u32>, Option<String>) = (row.get(0), row.get(1));
            let is_other = oid.is_some_and(|oid| oid != table.target.oid);
            schema.filter(|_| is_other).map(|schema| {
                let name = printable(&table.target.name, 80);
                (printable(&schema, 80), name)
            })
        })
        .collect();
    let Some((schema, name)) = others.first() else {
        return Ok(());
    };
    let more = match others.len() {
        1 => String::new(),
        all => format!(" and {} more", all - 1),
    };
    let reason = format!(
        "by the search path of this role ({}) the application finds {schema}.{name}{more}, and this plan loads {}.{name}: state `--schema {schema}` (in a runbook `target.schema`), or `accept: [{ACCEPTED}]` where the application has a search path of its own",
        printable(&path, 120),
        printable(&layout.schema, 80),
    );
    let found = structural("", "", reason, None);
    if transfer.accepts(ACCEPTED) {
        plan.notes.push(found);
    } else {
        plan.problems.push(found);
    }
    Ok(())
}

/// Relations by bare names, in their order.
const FOUND: &str = "
    SELECT c.oid, n.nspname::text
      FROM unnest($1::text[]) WITH ORDINALITY AS names(name, place)
      LEFT JOIN pg_class c ON c.oid = to_regclass(names.name)
      LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
     ORDER BY place";
