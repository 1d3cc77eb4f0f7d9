//! Whether the target can take the import at all: version, encoding, rights. Rows that are already there are
//! [`crate::transfer::occupied`]'s.

use tokio_postgres::Client;

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
