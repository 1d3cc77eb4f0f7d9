//! Columns that only the target has get their defaults while rows are loaded. Whether the server can compute such a default in a session of
//! ours (it may ask for a setting that only the application makes), and whether it gives NULL where none may be, is asked beforehand.

use tokio_postgres::Client;

use crate::postgres::catalogue::Column;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::error::{server, server_message};
use crate::transfer::layout::{Layout, TableLayout, structural};
use crate::transfer::plan::Problem;
use crate::transfer::session::application_path;

/// Defaults that no row would get.
pub(super) async fn judge(client: &Client, layout: &Layout) -> Result<Vec<Problem>, Error> {
    let mut problems = Vec::new();
    for table in &layout.tables {
        for column in given(table) {
            problems.extend(ask(client, table, column).await?);
        }
    }
    Ok(problems)
}

/// Columns whose default every row will get. What counts on, is not tried: each number is given once.
fn given(table: &TableLayout) -> impl Iterator<Item = &Column> {
    let moves = |column: &Column| table.columns.iter().any(|c| c.target.name == column.name);
    let counts = |column: &Column| {
        let expression = column.expression.as_deref().unwrap_or_default();
        expression.is_empty() || expression.contains("nextval(")
    };
    let all = table.target.columns.iter();
    all.filter(move |column| !column.generated && !moves(column) && !counts(column))
}

async fn ask(
    client: &Client,
    table: &TableLayout,
    column: &Column,
) -> Result<Option<Problem>, Error> {
    let doing = || server("asking for the default of a column");
    let path = application_path(client, &table.schema).await?;
    let begin = format!("BEGIN READ ONLY; SET LOCAL search_path = {path}");
    client.batch_execute(&begin).await.map_err(doing())?;
    let sql = format!(
        "SELECT (CAST(({}) AS {})) IS NULL",
        column.expression.as_deref().unwrap_or("NULL"),
        column.ty.base_shown
    );
    let answer = client.query_one(&sql, &[]).await;
    client.batch_execute("ROLLBACK").await.map_err(doing())?;
    let why = match answer {
        Ok(row) if row.get(0) && column.not_null => "is NULL, which it may not be".to_owned(),
        Ok(_) => return Ok(None),
        // Its function counts on or writes, which is not tried.
        Err(error) if error.code().is_some_and(|code| code.code() == "25006") => return Ok(None),
        Err(error) if error.as_db_error().is_some() => {
            format!("cannot be computed: {}", server_message(&error))
        }
        Err(error) => return Err(doing()(error)),
    };
    let reason = format!(
        "not in the source, and its default {why}. What it asks of the session can be set for the time of the import: ALTER ROLE … IN DATABASE … SET …"
    );
    let reason = printable(&reason, 600);
    Ok(Some(structural(
        &table.source.name,
        &column.name,
        reason,
        None,
    )))
}
