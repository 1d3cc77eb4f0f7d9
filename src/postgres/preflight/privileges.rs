//! What the application's role may do (`B2`): nothing that it does not need, and everything that it does.

use tokio_postgres::{Client, Row};

use super::{Error, Finding, many, one, quoted};
use crate::text::printable;

/// Names that a finding lists before it only counts.
const NAMES_SHOWN: usize = 5;

/// Checks that `role` is least-privilege and has what it needs in `schema`. Asked over the owner's connection, so that nothing is
/// hidden from us; run it after the migrations, when the tables are there. `exempt` are tables that the application does not touch
/// at run time: the migration history.
pub async fn runtime_role(
    client: &Client,
    role: &str,
    schema: &str,
    exempt: &[&str],
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
    findings.extend(needs(client, role, schema, exempt).await?);
    findings.extend(later_tables(client, role, schema, exempt).await?);
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
async fn needs(
    client: &Client,
    role: &str,
    schema: &str,
    exempt: &[&str],
) -> Result<Vec<Finding>, Error> {
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
        let lacking = names(&many(client, query, &[&role, &schema, &exempt]).await?);
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

/// Whether the role will have its rights on tables that are not there yet. Advice: the migrations may grant by themselves.
async fn later_tables(
    client: &Client,
    role: &str,
    schema: &str,
    exempt: &[&str],
) -> Result<Option<Finding>, Error> {
    let row = one(client, LATER_TABLES, &[&role, &schema, &exempt]).await?;
    let (has_tables, rights): (bool, i64) = (row.get(0), row.get(1));
    if has_tables {
        return Ok(None);
    }
    let name = "runtime role: tables that the migrations make";
    if rights == 4 {
        return Ok(Some(Finding::advice(
            name,
            true,
            "by the owner's default privileges",
        )));
    }
    let (role, schema) = (quoted(role), quoted(schema));
    let remedy = format!(
        "no table is there yet, and the owner's default privileges give it nothing: unless the migrations grant it, as the owner: ALTER \
         DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}; ALTER DEFAULT PRIVILEGES IN SCHEMA \
         {schema} GRANT USAGE ON SEQUENCES TO {role}"
    );
    Ok(Some(Finding::advice(name, false, printable(&remedy, 600))))
}

/// Whether tables are there, and how many of the four rights the role gets on those that we make.
const LATER_TABLES: &str = "
    SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                   WHERE n.nspname = $2 AND c.relkind IN ('r', 'p') AND c.relname::text <> ALL ($3::text[])),
           (SELECT count(DISTINCT a.privilege_type) FROM pg_default_acl d CROSS JOIN aclexplode(d.defaclacl) a
            WHERE d.defaclobjtype = 'r' AND d.defaclrole = (SELECT oid FROM pg_roles WHERE rolname = current_user)
              AND (d.defaclnamespace = 0 OR d.defaclnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $2))
              AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
              AND CASE WHEN a.grantee = 0 THEN true ELSE pg_has_role($1::name, a.grantee, 'USAGE') END)";

const RIGHTS: &str = "
    SELECT (SELECT rolcanlogin FROM pg_roles WHERE rolname = $1::name) AS login,
           has_database_privilege($1::name, current_database(), 'CONNECT') AS connect,
           coalesce((SELECT has_schema_privilege($1::name, oid, 'USAGE') FROM pg_namespace WHERE nspname = $2), false) AS usage,
           current_database()::text AS database";

const TABLES_LACKING: &str = "
    SELECT quote_ident(c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $2 AND c.relkind IN ('r', 'p') AND c.relname::text <> ALL ($3::text[])
      AND NOT (has_table_privilege($1::name, c.oid, 'SELECT') AND has_table_privilege($1::name, c.oid, 'INSERT')
           AND has_table_privilege($1::name, c.oid, 'UPDATE') AND has_table_privilege($1::name, c.oid, 'DELETE'))
    ORDER BY 1";

/// The CASE keeps the planner from asking about something that is not a sequence, which is an error.
const SEQUENCES_LACKING: &str = "
    SELECT quote_ident(c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $2
      AND CASE WHEN c.relkind = 'S' THEN NOT has_sequence_privilege($1::name, c.oid, 'USAGE') ELSE false END
      AND NOT EXISTS (SELECT FROM pg_depend d JOIN pg_class t ON t.oid = d.refobjid
                      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
                        AND t.relname::text = ANY ($3::text[]))
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
