//! What PostgreSQL 17 and later hide from functions: CREATE INDEX, REINDEX and REFRESH MATERIALIZED VIEW run with a search path in which nothing
//! of the application's is found without its schema.

use tokio_postgres::Client;

use crate::runbook::transfer::Transfer;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::error::server;
use crate::transfer::layout::{Layout, structural};
use crate::transfer::plan::Plan;

/// The first version that does so.
const SAFE_PATH: i32 = 170_000;

/// Functions of the application's that materialized views and indexes call, directly or through a view, and that have no search path of
/// their own.
const CALLED: &str = "
    WITH RECURSIVE reads AS (
      SELECT m.oid AS top, m.oid AS relation, 1 AS depth FROM pg_class m WHERE m.relkind = 'm' AND format('%I.%I', m.relnamespace::regnamespace::text, m.relname) = ANY ($1::text[])
      UNION
      SELECT reads.top, d.refobjid, depth + 1 FROM reads JOIN pg_rewrite r ON r.ev_class = reads.relation
        JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
       WHERE depth < 20),
    calls AS (
      SELECT reads.top AS oid, d.refobjid AS function FROM reads JOIN pg_rewrite r ON r.ev_class = reads.relation
        JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_proc'::regclass
      UNION
      SELECT i.indexrelid, d.refobjid FROM pg_index i JOIN pg_depend d
          ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refclassid = 'pg_proc'::regclass
       WHERE i.indrelid = ANY ($2::oid[]))
    SELECT c.relkind = 'm', format('%I.%I', n.nspname, c.relname), string_agg(DISTINCT p.oid::regprocedure::text, ', ')
      FROM calls JOIN pg_proc p ON p.oid = calls.function AND p.prolang IN (SELECT oid FROM pg_language WHERE lanname NOT IN ('internal', 'c'))
      JOIN pg_class c ON c.oid = calls.oid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE p.prosqlbody IS NULL AND p.oid >= 16384
       AND NOT EXISTS (SELECT FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search_path=%')
     GROUP BY 1, 2 ORDER BY 1, 2";

/// Adds a note for each of them.
pub(super) async fn note(
    client: &Client,
    layout: &Layout,
    transfer: &Transfer,
    plan: &mut Plan,
) -> Result<(), Error> {
    let doing = || server("looking at the functions of indexes and materialized views");
    let version = "SELECT current_setting('server_version_num')::int";
    let version: i32 = client
        .query_one(version, &[])
        .await
        .map_err(doing())?
        .get(0);
    if version < SAFE_PATH {
        return Ok(());
    }
    let views: Vec<&str> = layout
        .materialized()
        .map(|view| view.name.as_str())
        .collect();
    let tables: Vec<u32> = layout.tables.iter().map(|table| table.target.oid).collect();
    let rows = client
        .query(CALLED, &[&views, &tables])
        .await
        .map_err(doing())?;
    for row in rows {
        let reason = reason(row.get(0), row.get(1), row.get(2), transfer.refresh);
        plan.notes.push(structural("", "", reason, None));
    }
    Ok(())
}

fn reason(is_view: bool, name: &str, functions: &str, refreshes: bool) -> String {
    let (name, functions) = (printable(name, 120), printable(functions, 200));
    let when = match (is_view, refreshes) {
        (true, true) => "its refresh after the load fails",
        (true, false) => "REFRESH MATERIALIZED VIEW fails",
        (false, _) => "REINDEX fails (the load leaves the index in place)",
    };
    format!(
        "{name} calls {functions}. PostgreSQL 17 and later hide the application's schemas there: where such a function names something without its \
         schema, {when}; ALTER FUNCTION … SET search_path mends it"
    )
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn the_note_says_what_will_fail() {
        let of_view = reason(true, "public.m", "up(text)", true);
        assert!(
            of_view.contains("its refresh after the load fails"),
            "{of_view}"
        );
        let of_index = reason(false, "public.i", "up(text)", true);
        assert!(of_index.contains("REINDEX fails"), "{of_index}");
    }
}
