//! Whether the moved tables can be closed to writers, asked long before that is wanted. Changes nothing.

use tokio_postgres::{Client, Row};

use super::{Error, MOVED, TableName, columns};
use crate::text::printable;

/// Tables and views that a sentence names.
const NAMED: usize = 4;
/// What a sentence ends with that is about somebody whom no revoking keeps out.
pub const LOCK_ALONE: &str = "the lock alone is the fence";

/// What the runtime role is beyond its rights, and whether we may end its sessions.
const ROLES: &str = "
    SELECT r.rolsuper,
           EXISTS (SELECT FROM pg_catalog.pg_roles w WHERE w.rolname = 'pg_write_all_data' AND pg_catalog.pg_has_role(r.oid, w.oid, 'MEMBER')),
           me.rolsuper OR (NOT r.rolsuper AND (pg_catalog.pg_has_role(me.oid, r.oid, 'USAGE') OR EXISTS (
             SELECT FROM pg_catalog.pg_roles s WHERE s.rolname = 'pg_signal_backend' AND pg_catalog.pg_has_role(me.oid, s.oid, 'USAGE')))),
           me.rolname::text
      FROM pg_catalog.pg_roles me CROSS JOIN pg_catalog.pg_roles r WHERE me.rolname = current_user AND r.rolname = $1";

/// Of each moved table, whether the runtime role has its owner's rights or may take them (SET ROLE), and whether we have them.
const OWNERS: &str = "
    SELECT n.nspname || '.' || c.relname, pg_catalog.pg_has_role(r.oid, c.relowner, 'MEMBER'), pg_catalog.pg_has_role(c.relowner, 'USAGE')
      FROM moved m JOIN pg_catalog.pg_class c ON c.oid = m.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_roles r ON r.rolname = $3 ORDER BY 1";

/// Views over moved tables that the runtime role may write through by another role's rights.
const VIEWS: &str = "
    SELECT DISTINCT n.nspname || '.' || v.relname
      FROM moved m JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = m.oid
       AND d.classid = 'pg_catalog.pg_rewrite'::regclass
      JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid JOIN pg_catalog.pg_class v ON v.oid = w.ev_class
      JOIN pg_catalog.pg_namespace n ON n.oid = v.relnamespace JOIN pg_catalog.pg_roles r ON r.rolname = $3
     WHERE v.relkind = 'v' AND NOT pg_catalog.pg_has_role(r.oid, v.relowner, 'USAGE')
       AND NOT coalesce('security_invoker=true' = ANY (v.reloptions), false)
       AND pg_catalog.has_table_privilege(r.oid, v.oid, 'INSERT, UPDATE, DELETE')
     ORDER BY 1";

/// What keeps the moved tables from being closed to `runtime_role` by its rights, and its sessions from being ended; a sentence each, none
/// where both can be done. Tables that are not there yet are passed over.
pub async fn may_fence(
    client: &Client,
    tables: &[TableName],
    runtime_role: &str,
) -> Result<Vec<String>, Error> {
    let failed = |error| Error::of_statement("ask who may write to the moved tables", &error);
    let app = printable(runtime_role, 63);
    let row = client.query_opt(ROLES, &[&runtime_role]).await;
    let Some(row) = row.map_err(failed)? else {
        return Ok(vec![format!("the server has no role {app}")]);
    };
    let (is_superuser, writes_all): (bool, bool) = (row.get(0), row.get(1));
    let (may_end, me): (bool, &str) = (row.get(2), row.get(3));
    let mut told = Vec::new();
    if is_superuser {
        told.push(format!(
            "{app} is a superuser, whose writes cannot be revoked: {LOCK_ALONE}"
        ));
    }
    let (schemas, names) = columns(tables);
    let owners = client
        .query(
            &format!("{MOVED}{OWNERS}"),
            &[&schemas, &names, &runtime_role],
        )
        .await
        .map_err(failed)?;
    let named = |wanted: &dyn Fn(&Row) -> bool| {
        let found = owners.iter().filter(|row| wanted(row));
        some(found.map(|row| row.get(0)).collect())
    };
    if !is_superuser {
        if let Some(tables) = named(&|row| row.get(1)) {
            told.push(format!(
                "{app} has the rights of the owner of {tables}, whose writes cannot be revoked: {LOCK_ALONE}"
            ));
        }
        if writes_all {
            told.push(format!(
                "{app} is in pg_write_all_data, by which it writes whatever is revoked: {LOCK_ALONE}"
            ));
        }
        let views = client
            .query(
                &format!("{MOVED}{VIEWS}"),
                &[&schemas, &names, &runtime_role],
            )
            .await
            .map_err(failed)?;
        if let Some(views) = some(views.iter().map(|row| row.get(0)).collect()) {
            told.push(format!(
                "{app} may write through {views} by the rights of the view's owner, which stay: {LOCK_ALONE}"
            ));
        }
    }
    let me = printable(me, 63);
    if let Some(tables) = named(&|row| !row.get::<_, bool>(2)) {
        told.push(format!(
            "{me} has not the rights of the owner of {tables}, and can revoke nothing there: GRANT the owner's role TO {me}"
        ));
    }
    if !may_end {
        let how = match is_superuser {
            true => "only a superuser may".to_owned(),
            false => format!("GRANT pg_signal_backend TO {me}"),
        };
        told.push(format!(
            "{me} may not end a session of {app} that holds the lock up: {how}"
        ));
    }
    Ok(told)
}

/// The first of these names, and how many more there are.
fn some(names: Vec<String>) -> Option<String> {
    let shown = names.get(..names.len().min(NAMED)).unwrap_or_default();
    let shown: Vec<String> = shown.iter().map(|name| printable(name, 130)).collect();
    let more = match names.len().saturating_sub(NAMED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    (!names.is_empty()).then(|| format!("{}{more}", shown.join(", ")))
}
