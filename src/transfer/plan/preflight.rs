//! Whether the target can take the import at all: version, encoding, rights, and rows that are already there.

use tokio_postgres::Client;

use crate::runbook::transfer::{TargetRows, Transfer};
use crate::target::quoted;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::error::server;
use crate::transfer::layout::{Layout, structural};
use crate::transfer::plan::Problem;

const OLDEST_SERVER: i32 = 140_000;

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
                              FROM pg_namespace WHERE nspname = $1), false)",
            &[&schema],
        )
        .await
        .map_err(server("looking at the target's version, encoding and rights"))?;
    let (version, encoding, standby): (i32, &str, bool) = (row.get(0), row.get(1), row.get(2));
    let (user, database): (String, String) = (quoted(row.get(3)), quoted(row.get(4)));
    let (may_create, may_temp, has_own): (bool, bool, bool) = (row.get(5), row.get(6), row.get(7));
    let (schema_exists, schema_open): (bool, bool) = (row.get(8), row.get(9));
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

/// Planned tables that already hold rows, unless the runbook says to replace them.
pub async fn occupied(
    client: &Client,
    schema: &str,
    layout: &Layout,
    transfer: &Transfer,
) -> Result<Vec<Problem>, Error> {
    let mut occupied = Vec::new();
    if transfer.target_rows == TargetRows::Replace {
        return Ok(occupied);
    }
    const COUNTED_AT_MOST: i64 = 1000;
    for table in layout.tables.iter().filter(|table| table.target.owned) {
        let sql = if table.target.row_security_forced {
            // Its policies would hide rows from a count; its size they cannot hide.
            format!(
                "SELECT sign(pg_relation_size({}))::bigint",
                table.target.oid
            )
        } else {
            let name = quoted(&table.target.name);
            format!(
                "SELECT count(*) FROM (SELECT FROM {}.{name} LIMIT {COUNTED_AT_MOST}) AS held",
                quoted(schema)
            )
        };
        let rows: i64 = client
            .query_one(&sql, &[])
            .await
            .map_err(server("looking for rows in the target"))?
            .get(0);
        if rows > 0 {
            let count = if rows == COUNTED_AT_MOST {
                format!("{rows} rows or more")
            } else {
                format!("{rows} row(s)")
            };
            let reason = format!("the target table already holds {count}");
            occupied.push(structural(
                &table.source.name,
                "",
                reason,
                Some("target_rows: replace".to_owned()),
            ));
        }
    }
    Ok(occupied)
}
