//! Whether the target can take the import at all: version, encoding, rights. Rows that are already there are
//! [`crate::transfer::occupied`]'s.

use tokio_postgres::Client;

use crate::postgres::quoted;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::error::{server, server_message};
use crate::transfer::layout::{Layout, TableLayout, structural};
use crate::transfer::plan::Problem;

const OLDEST_SERVER: i32 = 140_000;

/// Connections that an import and the comparison after it need at the same time.
const CONNECTIONS: i64 = 4;

/// Whether the role may make temporary tables, in which the server is asked about rows.
pub async fn may_probe(client: &Client) -> Result<bool, Error> {
    let row = client
        .query_one(
            "SELECT has_database_privilege(current_database(), 'TEMP')",
            &[],
        )
        .await
        .map_err(server("looking at the role's rights"))?;
    Ok(row.get(0))
}

/// Event triggers that refuse what an import does to the schema: it keeps its checkpoints in a schema of its own. Tried, because nobody
/// knows what such a trigger does; and taken back.
pub async fn refused_by_event_triggers(client: &Client) -> Result<Vec<Problem>, Error> {
    let doing = || server("looking at the event triggers");
    let sql = "SELECT string_agg(evtname::text, ', ' ORDER BY evtname) FROM pg_event_trigger WHERE evtenabled IN ('O', 'A')";
    let row = client.query_one(sql, &[]).await.map_err(doing())?;
    let Some(names) = row.get::<_, Option<String>>(0) else {
        return Ok(Vec::new());
    };
    client.batch_execute("BEGIN").await.map_err(doing())?;
    let tried = client.batch_execute(TRIED).await;
    client.batch_execute("ROLLBACK").await.map_err(doing())?;
    match tried {
        Ok(()) => Ok(Vec::new()),
        Err(error) if error.as_db_error().is_some() => {
            let reason = format!(
                "an event trigger ({names}) refuses what an import does to schema and tables: {}. For the time of the import: ALTER EVENT TRIGGER … DISABLE",
                server_message(&error)
            );
            Ok(vec![structural("", "", printable(&reason, 600), None)])
        }
        Err(error) => Err(doing()(error)),
    }
}

/// Some of what an import does, in a schema that is there or not.
const TRIED: &str = "
    SET LOCAL lock_timeout = '2s';
    DO $try$ BEGIN IF to_regnamespace('cutover') IS NULL THEN CREATE SCHEMA cutover; END IF; END $try$;
    CREATE TABLE cutover.tried (one integer CONSTRAINT tried_key PRIMARY KEY, other integer);
    ALTER TABLE cutover.tried ALTER COLUMN other SET NOT NULL;
    CREATE INDEX tried_index ON cutover.tried (other)";

/// What the server or the role lacks, each with what would help.
pub async fn missing(
    client: &Client,
    schema: &str,
    layout: &Layout,
) -> Result<Vec<Problem>, Error> {
    let row = client
        .query_one(
            "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), pg_is_in_recovery(),
                    current_user::text, current_database()::text,
                    has_database_privilege(current_database(), 'CREATE'), has_database_privilege(current_database(), 'TEMP'),
                    coalesce((SELECT has_schema_privilege(oid, 'USAGE, CREATE') FROM pg_namespace WHERE nspname = 'cutover'), false),
                    EXISTS (SELECT FROM pg_namespace WHERE nspname = $1),
                    coalesce((SELECT has_schema_privilege(oid, 'USAGE') AND has_schema_privilege(oid, 'CREATE')
                              FROM pg_namespace WHERE nspname = $1), false),
                    EXISTS (SELECT FROM pg_namespace WHERE nspname = 'cutover'),
                    (SELECT string_agg(c.relname, ', ' ORDER BY c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE n.nspname = 'cutover' AND c.relkind = 'r' AND NOT has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE')),
                    coalesce((SELECT has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = 'cutover'), false),
                    (SELECT least(nullif(r.rolconnlimit, -1) - (SELECT count(*) FROM pg_stat_activity a WHERE a.usename = current_user),
                                  nullif(d.datconnlimit, -1) - (SELECT count(*) FROM pg_stat_activity a WHERE a.datname = d.datname))
                       FROM pg_roles r, pg_database d WHERE r.rolname = current_user AND d.datname = current_database())::int8,
                    (SELECT datconnlimit <> -1 FROM pg_database WHERE datname = current_database()),
                    (SELECT rolconnlimit <> -1 FROM pg_roles WHERE rolname = current_user),
                    (SELECT string_agg(c.relname, ', ' ORDER BY c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE n.nspname = 'cutover' AND c.relname IN ('import', 'task', 'definition', 'account', 'quarantine', 'policy_use', 'promise')
                        AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid
                                         AND a.attname = CASE c.relname WHEN 'import' THEN 'target_schema' ELSE 'import' END))",
            &[&schema],
        )
        .await
        .map_err(server("looking at the target's version, encoding and rights"))?;
    let (version, encoding, standby): (i32, &str, bool) = (row.get(0), row.get(1), row.get(2));
    let (user, database): (String, String) = (quoted(row.get(3)), quoted(row.get(4)));
    let (may_create, may_temp, has_own): (bool, bool, bool) = (row.get(5), row.get(6), row.get(7));
    let (schema_exists, schema_open): (bool, bool) = (row.get(8), row.get(9));
    let (own_exists, closed, own_open): (bool, Option<String>, bool) =
        (row.get(10), row.get(11), row.get(12));
    let connections_left: Option<i64> = row.get(13);
    let mut lacking = Vec::new();
    let mut lacks = |missing: bool, reason: String| {
        if missing {
            lacking.push(structural("", "", printable(&reason, 400), None));
        }
    };
    lacks(
        version < OLDEST_SERVER,
        format!(
            "the target is PostgreSQL {}; 14 is the oldest supported",
            version / 10_000
        ),
    );
    lacks(
        encoding != "UTF8",
        format!("the target database's encoding is {encoding}; make it with ENCODING 'UTF8'"),
    );
    lacks(
        standby,
        "the target is a standby, which cannot be written to".to_owned(),
    );
    lacks(
        !schema_exists,
        format!(
            "the target has no schema {}; run the migrations first",
            quoted(schema)
        ),
    );
    lacks(
        !may_create && !has_own,
        format!(
            "the role may not make the schema in which the import keeps its checkpoints: GRANT CREATE ON DATABASE {database} TO {user}"
        ),
    );
    lacks(
        own_exists && !own_open,
        format!(
            "the role may not use the schema in which the import keeps its checkpoints: GRANT USAGE, CREATE ON SCHEMA cutover TO {user}"
        ),
    );
    lacks(
        own_open && closed.is_some(),
        format!(
            "an import by another role has left tables in schema cutover ({}) that this role may not write: GRANT ALL ON ALL TABLES IN SCHEMA cutover TO {user}, or drop the schema if that import is over",
            closed.unwrap_or_default()
        ),
    );
    let foreign: Option<String> = row.get(16);
    lacks(
        foreign.is_some(),
        format!(
            "the target has a schema cutover with tables of another's ({}), and the import keeps its checkpoints in tables of these names: ALTER SCHEMA cutover RENAME TO …, for the time of the import",
            foreign.unwrap_or_default()
        ),
    );
    let (database_limits, role_limits): (bool, bool) = (row.get(14), row.get(15));
    if let Some(left) = connections_left {
        let alter = [
            role_limits.then(|| format!("ALTER ROLE {user} CONNECTION LIMIT -1")),
            database_limits.then(|| format!("ALTER DATABASE {database} CONNECTION LIMIT -1")),
        ];
        let alter: Vec<String> = alter.into_iter().flatten().collect();
        // One of them is already ours.
        lacks(
            left + 1 < CONNECTIONS,
            format!(
                "the role or the database allows only {} more connection(s), and an import with its comparison needs {CONNECTIONS}: {}",
                left.max(0),
                alter.join("; ")
            ),
        );
    }
    lacks(
        !may_temp,
        format!(
            "the role may not make temporary tables: GRANT TEMPORARY ON DATABASE {database} TO {user}"
        ),
    );
    lacks(
        schema_exists && !schema_open,
        format!(
            "the role may not make indexes: GRANT USAGE, CREATE ON SCHEMA {} TO {user}",
            quoted(schema)
        ),
    );
    for table in layout.tables.iter().filter(|table| !table.target.owned) {
        let reason = format!(
            "the role does not own {}, and needs to for dropping and making its indexes: ALTER TABLE {}.{} OWNER TO {user}",
            printable(&table.target.name, 80),
            quoted(schema),
            quoted(&table.target.name)
        );
        lacking.push(structural(
            &table.source.name,
            "",
            printable(&reason, 400),
            None,
        ));
    }
    Ok(lacking)
}

/// Indexes that are invalid before the import: it leaves them as they are, and verify is red.
pub fn invalid_indexes(layout: &Layout) -> Vec<Problem> {
    let tables = layout.tables.iter();
    let indexes =
        tables.flat_map(|table| table.target.indexes.iter().map(move |index| (table, index)));
    let invalid = indexes.filter(|(_, index)| !index.valid);
    invalid
        .map(|(table, index)| {
            let name = format!("{}.{}", quoted(&layout.schema), quoted(&index.name));
            let reason = format!(
                "the index {name} is invalid before the import, as CREATE INDEX CONCURRENTLY leaves one that it cannot finish: REINDEX INDEX {name}, or drop it"
            );
            structural(&table.source.name, "", printable(&reason, 400), None)
        })
        .collect()
}

/// What the role could not read: tables that it may fill and not read back whole, at which the comparison would stop, and parents that the
/// target alone has.
pub async fn unreadable(client: &Client, layout: &Layout) -> Result<Vec<Problem>, Error> {
    let mut problems = closed_parents(client, layout).await?;
    problems.extend(hidden_by_row_security(client, layout).await?);
    Ok(problems)
}

/// Parents that do not move and that the role may not read: nobody could tell which rows have no parent there.
async fn closed_parents(client: &Client, layout: &Layout) -> Result<Vec<Problem>, Error> {
    let mut problems = Vec::new();
    for table in &layout.tables {
        for key in &table.outside {
            let Some((oid, schema, parent)) = &key.references else {
                continue;
            };
            let row = client
                .query_one(
                    "SELECT coalesce(has_table_privilege($1::oid, 'SELECT'), true)
                         OR NOT EXISTS (SELECT FROM unnest($2::text[]) AS u(name) WHERE NOT has_column_privilege($1::oid, u.name, 'SELECT')),
                       has_schema_privilege($3::text, 'USAGE'), current_user::text",
                    &[oid, &key.referenced_columns, schema],
                )
                .await
                .map_err(server("looking at the rights on parents"))?;
            let (is_open, schema_is_open): (bool, bool) = (row.get(0), row.get(1));
            if is_open && schema_is_open {
                continue;
            }
            let (user, schema) = (quoted(row.get(2)), quoted(schema));
            let usage = if schema_is_open {
                String::new()
            } else {
                format!("GRANT USAGE ON SCHEMA {schema} TO {user}; ")
            };
            let reason = format!(
                "{} leads to {schema}.{}, which the role may not read, so that nobody can tell which rows have no parent there: {usage}GRANT SELECT ON {schema}.{} TO {user}",
                printable(&key.name, 80),
                quoted(parent),
                quoted(parent)
            );
            problems.push(structural(
                &table.source.name,
                "",
                printable(&reason, 600),
                None,
            ));
        }
    }
    Ok(problems)
}

async fn hidden_by_row_security(client: &Client, layout: &Layout) -> Result<Vec<Problem>, Error> {
    let forced: Vec<_> = layout
        .tables
        .iter()
        .filter(|table| table.target.row_security_forced)
        .collect();
    if forced.is_empty() {
        return Ok(Vec::new());
    }
    let row = client
        .query_one(
            "SELECT rolbypassrls OR rolsuper, rolname::text FROM pg_roles WHERE rolname = current_user",
            &[],
        )
        .await
        .map_err(server("looking at the role"))?;
    if row.get(0) {
        return Ok(Vec::new());
    }
    let user = quoted(row.get(1));
    let problem = |table: &TableLayout| {
        let name = format!("{}.{}", quoted(&layout.schema), quoted(&table.target.name));
        let reason = format!(
            "row-level security is forced on {name}, so that verify cannot see all of its rows as {user}: ALTER ROLE {user} BYPASSRLS, or ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY until it is verified"
        );
        structural(&table.source.name, "", printable(&reason, 600), None)
    };
    Ok(forced.into_iter().map(problem).collect())
}
