//! Whether the target is fit (`B1`) and the application's role is no more than it should be (`B2`). Asks only.

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::endpoint::{Place, SslMode};
use super::{Endpoint, Error, Finding, quoted};
use crate::text::printable;

/// PostgreSQL 14.
const OLDEST_VERSION: i32 = 140_000;
/// Names that a finding lists before it only counts.
const NAMES_SHOWN: usize = 5;

/// Checks database, version, encoding, TLS of this very connection and the owner's rights in `schema`. `client` was made by
/// `endpoint`.
///
/// # Errors
/// The questions could not be asked. What is not as it should be is a finding, not an error.
pub async fn database(
    client: &Client,
    endpoint: &Endpoint,
    schema: &str,
) -> Result<Vec<Finding>, Error> {
    let row = one(client, DATABASE, &[&schema]).await?;
    let text = |name: &str| printable(row.get::<_, &str>(name), 80);
    let owner = quoted(row.get("role"));
    let mut findings = vec![Finding::required(
        "database",
        true,
        format!("{} on {}", text("database"), endpoint.host_label()),
    )];
    let version: i32 = row.get("version_number");
    findings.push(Finding::required(
        "server version",
        version >= OLDEST_VERSION,
        match version >= OLDEST_VERSION {
            true => text("version"),
            false => format!("{}; versions from 14 on are supported", text("version")),
        },
    ));
    let encoding = text("encoding");
    findings.push(Finding::required(
        "encoding",
        encoding == "UTF8",
        match encoding.as_str() {
            "UTF8" => encoding,
            other => format!("{other}; create the database anew: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"),
        },
    ));
    findings.push(tls(endpoint, &row));
    let in_recovery: bool = row.get("in_recovery");
    findings.push(Finding::required(
        "writable",
        !in_recovery,
        if in_recovery {
            "this server is a standby; name the primary"
        } else {
            "a primary"
        },
    ));
    let (exists, may_create, may_use): (bool, bool, bool) =
        (row.get("exists"), row.get("may_create"), row.get("may_use"));
    findings.push(Finding::required(
        "owner: create in schema",
        may_create && may_use,
        match (exists, may_create && may_use) {
            (true, true) => format!("{owner} may create in {}", quoted(schema)),
            (true, false) => format!(
                "GRANT USAGE, CREATE ON SCHEMA {} TO {owner}",
                quoted(schema)
            ),
            (false, _) => format!("CREATE SCHEMA {} AUTHORIZATION {owner}", quoted(schema)),
        },
    ));
    findings.push(monitoring(&row));
    findings.push(connections(&row));
    Ok(findings)
}

const DATABASE: &str = "
    SELECT current_database() AS database, current_user::text AS role, version() AS version,
           current_setting('server_version_num')::int AS version_number,
           (SELECT pg_encoding_to_char(encoding)::text FROM pg_database WHERE datname = current_database()) AS encoding,
           coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS tls,
           (SELECT concat_ws(' ', version, cipher) FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS tls_kind,
           pg_is_in_recovery() AS in_recovery,
           EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) AS exists,
           coalesce((SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = $1), false) AS may_create,
           coalesce((SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = $1), false) AS may_use,
           pg_has_role('pg_monitor', 'USAGE') OR pg_has_role('pg_read_all_stats', 'USAGE') AS may_monitor,
           current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS slots,
           (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL)::int AS connected";

/// Plain text is never silent: it is right on this machine or when the URL says `disable`, and else a finding.
fn tls(endpoint: &Endpoint, row: &Row) -> Finding {
    let encrypted: bool = row.get("tls");
    if encrypted {
        let kind = printable(
            row.get::<_, Option<&str>>("tls_kind").unwrap_or_default(),
            80,
        );
        let (ok, judged) = match endpoint.stated_sslmode() {
            Some(SslMode::VerifyFull) => (true, "issuer and host verified"),
            Some(SslMode::VerifyCa) => (true, "issuer verified, host name not"),
            _ if endpoint.is_on_this_machine() => {
                (true, "certificate not verified, on this machine")
            }
            _ => (
                false,
                "certificate not verified: anybody in between could pose as the server; state sslmode=verify-full",
            ),
        };
        return Finding::advice("TLS", ok, format!("{kind}; {judged}"));
    }
    match endpoint.stated_sslmode() {
        _ if endpoint.is_on_this_machine() => {
            Finding::required("TLS", true, "plain text, on this machine")
        }
        Some(SslMode::Disable) => {
            Finding::required("TLS", true, "plain text, as sslmode=disable says")
        }
        _ => Finding::required(
            "TLS",
            false,
            "plain text to another machine, because the server offers no TLS; turn `ssl` on in the server, or state sslmode=disable if this is meant",
        ),
    }
}

fn monitoring(row: &Row) -> Finding {
    let may: bool = row.get("may_monitor");
    let detail = match may {
        true => "sees every session".to_owned(),
        false => format!(
            "the pool panel sees only this role's own sessions: GRANT pg_monitor TO {}",
            quoted(row.get("role"))
        ),
    };
    Finding::advice("pg_monitor", may, detail)
}

fn connections(row: &Row) -> Finding {
    /// What the import, the monitor and a person with `psql` need at once.
    const NEEDED: i32 = 10;
    let (slots, connected): (i32, i32) = (row.get("slots"), row.get("connected"));
    let free = slots - connected;
    let detail = match free >= NEEDED {
        true => format!("{connected} of {slots} in use"),
        false => {
            format!("{connected} of {slots} in use: close idle clients or raise max_connections")
        }
    };
    Finding::advice("free connections", free >= NEEDED, detail)
}

impl Endpoint {
    /// Whether what goes to any of its hosts stays on this machine, as far as the URL tells.
    pub(super) fn is_on_this_machine(&self) -> bool {
        self.hosts.iter().all(|host| match &host.place {
            Place::Socket(_) => true,
            Place::Tcp {
                address: Some(address),
                ..
            } => address.is_loopback(),
            Place::Tcp { name, .. } => {
                name == "localhost"
                    || name
                        .parse()
                        .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
            }
        })
    }
}

/// Checks that `role` is least-privilege and has what it needs in `schema`. Asked over the owner's connection, so that nothing is
/// hidden from us; run it after the migrations, when the tables are there.
///
/// # Errors
/// The questions could not be asked.
pub async fn runtime_role(
    client: &Client,
    role: &str,
    schema: &str,
) -> Result<Vec<Finding>, Error> {
    let exists = one(
        client,
        "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)",
        &[&role],
    )
    .await?;
    if !exists.get::<_, bool>(0) {
        let advice = format!(
            "there is no role {}: CREATE ROLE … LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE",
            quoted(role)
        );
        return Ok(vec![Finding::required(
            "runtime role: exists",
            false,
            advice,
        )]);
    }
    let mut findings = attributes(client, role).await?;
    findings.extend(ownership(client, role, schema).await?);
    findings.extend(needs(client, role, schema).await?);
    Ok(findings)
}

/// What the role may do anywhere, by itself or through any role that it is or can become.
async fn attributes(client: &Client, role: &str) -> Result<Vec<Finding>, Error> {
    let query = "
        SELECT r.rolname::text AS name, r.rolsuper, r.rolcreatedb, r.rolcreaterole, r.rolbypassrls, r.rolreplication
        FROM pg_roles r, pg_roles me
        WHERE me.rolname = $1
          -- A superuser is a member of everything, which would blame roles that have nothing to do with it.
          AND (r.oid = me.oid OR NOT me.rolsuper AND pg_has_role(me.oid, r.oid, 'MEMBER'))
        ORDER BY r.oid <> me.oid, r.rolname";
    let rows = many(client, query, &[&role]).await?;
    let kinds = [
        ("superuser", "rolsuper", "NOSUPERUSER"),
        ("create databases", "rolcreatedb", "NOCREATEDB"),
        ("create roles", "rolcreaterole", "NOCREATEROLE"),
        ("bypass row security", "rolbypassrls", "NOBYPASSRLS"),
        ("replication", "rolreplication", "NOREPLICATION"),
    ];
    let findings = kinds.into_iter().map(|(what, column, remedy)| {
        let holder = rows
            .iter()
            .find(|row| row.get(column))
            .map(|row| row.get::<_, &str>("name"));
        let detail = match holder {
            None => "no".to_owned(),
            Some(holder) if holder == role => format!("ALTER ROLE {} {remedy}", quoted(role)),
            Some(holder) => format!(
                "through {}: REVOKE {} FROM {}",
                quoted(holder),
                quoted(holder),
                quoted(role)
            ),
        };
        Finding::required(
            format!("runtime role: {what}"),
            holder.is_none(),
            printable(&detail, 300),
        )
    });
    Ok(findings.collect())
}

/// Owning means being able to drop and alter; so does being a member of the owner.
async fn ownership(client: &Client, role: &str, schema: &str) -> Result<Vec<Finding>, Error> {
    let query = "
        WITH me AS (SELECT oid FROM pg_roles WHERE rolname = $1)
        SELECT 'schema ' || quote_ident(n.nspname) FROM pg_namespace n, me
          WHERE n.nspname = $2 AND pg_has_role(me.oid, n.nspowner, 'MEMBER')
        UNION ALL
        SELECT 'database ' || quote_ident(d.datname) FROM pg_database d, me
          WHERE d.datname = current_database() AND pg_has_role(me.oid, d.datdba, 'MEMBER')
        UNION ALL
        SELECT quote_ident(c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, me
          WHERE n.nspname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND pg_has_role(me.oid, c.relowner, 'MEMBER')";
    let owned = names(&many(client, query, &[&role, &schema]).await?);
    let detail = match owned.is_empty() {
        true => "nothing".to_owned(),
        false => format!(
            "{}; let the migration's role own them, and not be granted to {}",
            listed(&owned),
            quoted(role)
        ),
    };
    let create = "SELECT coalesce((SELECT has_schema_privilege($1::name, oid, 'CREATE') FROM pg_namespace WHERE nspname = $2), false)";
    let may_create: bool = one(client, create, &[&role, &schema]).await?.get(0);
    let remedy = match may_create {
        false => "no".to_owned(),
        true => format!(
            "REVOKE CREATE ON SCHEMA {0} FROM {1}, PUBLIC",
            quoted(schema),
            quoted(role)
        ),
    };
    Ok(vec![
        Finding::required("runtime role: owns", owned.is_empty(), detail),
        Finding::required("runtime role: create in schema", !may_create, remedy),
    ])
}

/// What the application cannot do without.
async fn needs(client: &Client, role: &str, schema: &str) -> Result<Vec<Finding>, Error> {
    let rights = one(client, RIGHTS, &[&role, &schema]).await?;
    let (login, connect, usage): (bool, bool, bool) = (
        rights.get("login"),
        rights.get("connect"),
        rights.get("usage"),
    );
    let database: &str = rights.get("database");
    let (role_name, schema_name) = (quoted(role), quoted(schema));
    let said = |ok: bool, remedy: String| {
        if ok {
            "yes".to_owned()
        } else {
            printable(&remedy, 300)
        }
    };
    let mut findings = vec![
        Finding::required(
            "runtime role: log in",
            login,
            said(login, format!("ALTER ROLE {role_name} LOGIN")),
        ),
        Finding::required(
            "runtime role: connect",
            connect,
            said(
                connect,
                format!(
                    "GRANT CONNECT ON DATABASE {} TO {role_name}",
                    quoted(database)
                ),
            ),
        ),
        Finding::required(
            "runtime role: use schema",
            usage,
            said(
                usage,
                format!("GRANT USAGE ON SCHEMA {schema_name} TO {role_name}"),
            ),
        ),
    ];
    for (what, query, remedy) in [
        (
            "read and write tables",
            TABLES_LACKING,
            "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES",
        ),
        ("use sequences", SEQUENCES_LACKING, "USAGE ON ALL SEQUENCES"),
    ] {
        let lacking = names(&many(client, query, &[&role, &schema]).await?);
        let remedy = format!(
            "lacking on {}: GRANT {remedy} IN SCHEMA {schema_name} TO {role_name}",
            listed(&lacking)
        );
        findings.push(Finding::required(
            format!("runtime role: {what}"),
            lacking.is_empty(),
            said(lacking.is_empty(), remedy),
        ));
    }
    Ok(findings)
}

const RIGHTS: &str = "
    SELECT (SELECT rolcanlogin FROM pg_roles WHERE rolname = $1::name) AS login,
           has_database_privilege($1::name, current_database(), 'CONNECT') AS connect,
           coalesce((SELECT has_schema_privilege($1::name, oid, 'USAGE') FROM pg_namespace WHERE nspname = $2), false) AS usage,
           current_database()::text AS database";

const TABLES_LACKING: &str = "
    SELECT quote_ident(c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $2 AND c.relkind IN ('r', 'p')
      AND NOT (has_table_privilege($1::name, c.oid, 'SELECT') AND has_table_privilege($1::name, c.oid, 'INSERT')
           AND has_table_privilege($1::name, c.oid, 'UPDATE') AND has_table_privilege($1::name, c.oid, 'DELETE'))
    ORDER BY 1";

const SEQUENCES_LACKING: &str = "
    SELECT quote_ident(c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $2 AND c.relkind = 'S' AND NOT has_sequence_privilege($1::name, c.oid, 'USAGE')
    ORDER BY 1";

fn names(rows: &[Row]) -> Vec<String> {
    rows.iter()
        .map(|row| printable(row.get::<_, &str>(0), 100))
        .collect()
}

fn listed(names: &[String]) -> String {
    let shown = names
        .iter()
        .take(NAMES_SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

const DOING: &str = "check the target";

async fn one(
    client: &Client,
    query: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Row, Error> {
    client
        .query_one(query, parameters)
        .await
        .map_err(|error| Error::of_statement(DOING, &error))
}

async fn many(
    client: &Client,
    query: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, Error> {
    client
        .query(query, parameters)
        .await
        .map_err(|error| Error::of_statement(DOING, &error))
}
