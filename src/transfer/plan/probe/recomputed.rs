//! Plain columns of the source that the target computes: whether it comes to the values that SQLite holds. Where it does not, what the
//! application has put there would not arrive, and nothing later brings it back.

use std::path::Path;
use std::sync::Arc;

use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::questions::{PROBE, Questions};
use super::{Asker, begin, end, load, named};
use crate::ours::statements::Name;
use crate::postgres::catalogue::Column;
use crate::postgres::quoted;
use crate::runbook::transfer::OnProblem;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::error::{server, server_message};
use crate::transfer::kind::Kind;
use crate::transfer::layout::{ColumnLayout, Layout, TableLayout, exclude, structural};
use crate::transfer::plan::foreseen::foresee;
use crate::transfer::plan::{Plan, RowKey};
use crate::transfer::rows::Foreseen;

/// What the probe table calls the column with SQLite's values, beside the computed one.
const HELD: &str = "cutover held";
/// Characters of a value that a message shows.
const SHOWN: usize = 60;

/// What a look at one column has found.
enum Looked {
    /// The same value in every row.
    Same,
    /// Values that would not arrive, in words.
    Lost(String),
    /// Nothing; why.
    Unknown(String),
}

/// A note for each such column, and a problem where the target comes to another value. Without `client` the values are not looked at.
pub async fn judge(
    client: Option<&Client>,
    source: &Path,
    layout: &Arc<Layout>,
    plan: &mut Plan,
    cancel: &CancellationToken,
) -> Result<(), Error> {
    if layout.recomputed.is_empty() {
        return Ok(());
    }
    let mut foreseen = match client {
        Some(client) => foresee(client, source, layout, cancel).await?,
        None => std::collections::BTreeMap::new(),
    };
    for (of, column) in &layout.recomputed {
        let Some(table) = layout.tables.iter().find(|table| table.source.name == *of) else {
            continue;
        };
        let name = table.source_name(column);
        let looked = match client {
            Some(client) => {
                let asker = Asker {
                    client,
                    source,
                    encoding: layout.encoding,
                    cancel,
                };
                let fates = foreseen.remove(&table.target.oid).unwrap_or_default();
                let fates = Arc::new(fates);
                let looked = look(asker, table, column, &fates).await?;
                foreseen.insert(table.target.oid, Arc::unwrap_or_clone(fates));
                looked
            }
            None => Looked::Unknown("its values were not looked at".to_owned()),
        };
        match looked {
            Looked::Same => {
                let reason =
                    "the target computes it, and comes to the value that SQLite holds in every row";
                plan.notes.push(structural(of, name, reason, None));
            }
            Looked::Lost(reason) => {
                let policy = exclude(of, Some(name));
                plan.problems.push(structural(of, name, reason, policy));
            }
            Looked::Unknown(why) => {
                let reason = format!(
                    "the target computes it ({why}); what SQLite holds does not move, and `verify` is red where the target's value is another"
                );
                plan.notes.push(structural(of, name, reason, None));
            }
        }
    }
    Ok(())
}

async fn look(
    asker: Asker<'_>,
    table: &TableLayout,
    column: &ColumnLayout,
    fates: &Arc<Foreseen>,
) -> Result<Looked, Error> {
    if column.converter.kind == Kind::Unsupported {
        return Ok(Looked::Lost(format!(
            "the target computes it as {}, into which there is no conversion: what SQLite holds would not arrive, and `verify` counts it as different",
            printable(&column.target.ty.shown, 80)
        )));
    }
    if column.target.expression.is_none() {
        return Ok(Looked::Unknown("by what, this role may not see".to_owned()));
    }
    let both = with_held(table, column);
    let asked = Questions::of_filled(&both, std::slice::from_ref(&column.target.name));
    begin(asker.client, &asked.schema).await?;
    let compared = compare(asker, &both, column, &asked, fates).await;
    let rolled_back = end(asker.client).await;
    let compared = compared?;
    rolled_back?;
    Ok(compared)
}

/// The table as if SQLite's values moved too, beside the column that the target computes. One without a form there becomes NULL.
fn with_held(table: &TableLayout, column: &ColumnLayout) -> TableLayout {
    let mut held = column.clone();
    held.target = Column {
        name: HELD.to_owned(),
        generated: false,
        expression: None,
        not_null: false,
        ..held.target
    };
    held.converter.not_null = false;
    held.converter.policy.on_problem = Some(OnProblem::Null);
    let mut both = table.clone();
    both.columns.push(held);
    both
}

async fn compare(
    asker: Asker<'_>,
    both: &TableLayout,
    column: &ColumnLayout,
    asked: &Questions,
    fates: &Arc<Foreseen>,
) -> Result<Looked, Error> {
    let doing = || {
        server(format!(
            "comparing what the target computes in {} with what SQLite holds",
            printable(&both.source.name, 80)
        ))
    };
    let client = asker.client;
    client.batch_execute(&asked.create).await.map_err(doing())?;
    load(asker, both, asked, fates).await?;
    match client.batch_execute(&asked.ready).await {
        Ok(()) => {}
        // A row for which it cannot be computed is named by itself.
        Err(error) if error.as_db_error().is_some() => {
            return Ok(Looked::Unknown(format!(
                "which fails: {}",
                server_message(&error)
            )));
        }
        Err(error) => return Err(doing()(error)),
    }
    let (held, computed) = (quoted(HELD), quoted(&column.target.name));
    let shown =
        |name: &str| format!("coalesce(quote_literal(left({name}::text, {SHOWN})), 'NULL')");
    let sql = format!(
        "SELECT \"cutover place\", \"cutover key\", {}, {}, count(*) OVER (), (SELECT count(*) FROM {PROBE}) FROM {PROBE} WHERE {} ORDER BY 1 LIMIT 1",
        shown(&held),
        shown(&computed),
        differs(&column.converter.kind, &held, &computed)
    );
    let Some(row) = client.query_opt(&sql, &[]).await.map_err(doing())? else {
        return Ok(Looked::Same);
    };
    let at = match named(row.get(0), row.get(1)) {
        RowKey::Rowid(rowid) => format!("row {rowid}"),
        RowKey::Key(key) => format!("row {}", printable(&key, 80)),
        RowKey::None => "a row".to_owned(),
    };
    let value = |place: usize| printable(row.get::<_, &str>(place), SHOWN + 20);
    let (rows, all): (i64, i64) = (row.get(4), row.get(5));
    let target = Name::new(both.schema.as_str(), both.target.name.as_str());
    Ok(Looked::Lost(format!(
        "the target computes it, and in {rows} of {all} row(s) comes to another value than SQLite holds: in {at} to {} and not to {}. What SQLite \
         holds would not arrive, and `verify` counts it as different; ALTER TABLE {} ALTER COLUMN {computed} DROP EXPRESSION in the target lets it move",
        value(3),
        value(2),
        target.quoted()
    )))
}

/// By value where one value has several spellings, else by the text, byte for byte.
fn differs(kind: &Kind, held: &str, computed: &str) -> String {
    match kind {
        Kind::Int2
        | Kind::Int4
        | Kind::Int8
        | Kind::Oid
        | Kind::Numeric(_)
        | Kind::Bool
        | Kind::Uuid
        | Kind::Bytea
        | Kind::Date
        | Kind::Time(_)
        | Kind::Timestamp(_)
        | Kind::TimestampTz(_)
        | Kind::Interval(_)
        | Kind::Jsonb
        | Kind::Inet
        | Kind::Cidr
        | Kind::Enum(_)
        | Kind::Bit { .. } => format!("{held} IS DISTINCT FROM {computed}"),
        Kind::Float4
        | Kind::Float8
        | Kind::Text(_)
        | Kind::Char(_)
        | Kind::Json
        | Kind::Array { .. }
        | Kind::Unsupported => {
            format!(
                "({held}::text COLLATE \"C\") IS DISTINCT FROM ({computed}::text COLLATE \"C\")"
            )
        }
    }
}
