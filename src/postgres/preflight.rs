//! Whether the target is fit (`B1`), and in [`runtime_role`], whether the application's role is no more than it should be (`B2`).
//! Asks only.

mod privileges;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::endpoint::{Place, SslMode};
use super::{Endpoint, Error, Finding, pooler, quoted};
use crate::text::printable;
pub use privileges::runtime_role;

/// PostgreSQL 14.
const OLDEST_VERSION: i32 = 140_000;

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
    if let Some(evidence) = pooler::seen(endpoint).await? {
        let pooled = Error::Pooled {
            host: endpoint.host_label(),
            evidence,
        };
        return Ok(vec![Finding::required("direct", false, pooled.to_string())]);
    }
    let row = one(client, DATABASE, &[&schema]).await?;
    let text = |name: &str| printable(row.get::<_, &str>(name), 80);
    let owner = quoted(row.get("role"));
    let mut findings = vec![Finding::required(
        "database",
        true,
        format!(
            "{} on {}, no pooler in between",
            text("database"),
            endpoint.host_label()
        ),
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
    findings.extend(published(&row));
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
           (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL)::int AS connected,
           (SELECT string_agg(pubname::text, ', ' ORDER BY pubname) FROM pg_publication WHERE puballtables) AS of_all_tables";

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
            "the states of other roles' sessions are hidden, so that items of the monitoring checklist over the pool (M3) never turn green and \
             G2 does not end: GRANT pg_monitor TO {}",
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

/// A PostgreSQL that subscribes stops at a row of a table that it has not, for good, and the log that it still wants fills this server's disk.
fn published(row: &Row) -> Option<Finding> {
    let names: Option<&str> = row.get("of_all_tables");
    let detail = format!(
        "{} FOR ALL TABLES has the tables of the schema cutover too: a PostgreSQL that subscribes to it stops at their first row. Make it anew FOR \
         TABLE … or FOR TABLES IN SCHEMA … before a session is opened, where one subscribes",
        printable(names?, 200)
    );
    Some(Finding::advice("publications", false, detail))
}

impl Endpoint {
    /// Whether what goes to any of its hosts stays on this machine, as far as the URL tells.
    pub fn is_on_this_machine(&self) -> bool {
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
