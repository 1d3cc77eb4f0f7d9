//! The changed rows of each table that goes by its rows, as they were and as they are, in temporary tables.

use std::path::Path;

use tokio_postgres::Client;

use crate::transfer::Error;
use crate::transfer::delta::apply::Counted;
use crate::transfer::delta::refusal::Refusal;
use crate::transfer::delta::stage::{self, Sent, Side, Wanted, Which};
use crate::transfer::delta::ways::{By, Changed, Rows};
use crate::transfer::delta::{Sides, refused};
use crate::transfer::layout::TableLayout;

/// What was sent of one changed table.
pub struct Staged<'c> {
    /// Which.
    pub changed: &'c Changed,
    /// As it is.
    pub newer: Sent,
    /// As it was; nothing of a table that goes anew.
    pub older: Sent,
    /// What PostgreSQL counted of a table that goes by its rows.
    pub counted: Counted,
}

/// Where it goes.
pub fn layout<'s>(sides: &'s Sides<'_>, changed: &Changed) -> &'s TableLayout {
    &sides.newer.tables[changed.places[0]]
}

/// Makes the temporary tables and sends the changed rows there, as they were and as they are.
pub async fn send_changes<'c>(
    sides: &Sides<'_>,
    control: &Client,
    changed: &'c [Changed],
    file: &Path,
) -> Result<Vec<Staged<'c>>, Error> {
    let mut all = Vec::new();
    for changed in changed {
        let mut staged = Staged {
            changed,
            newer: Sent::default(),
            older: Sent::default(),
            counted: Counted::default(),
        };
        if let (By::Rows { id, .. }, Some(rows)) = (&changed.way, Rows::of(changed, &sides.newer)) {
            for (side, into) in [(Side::Older, &rows.old), (Side::Newer, &rows.new)] {
                let own = format!("ONLY {}", rows.name.quoted());
                make(control, into, &own, &rows.columns).await?;
                index(control, into, &rows.key).await?;
                let which = Which::Named {
                    delta: file.to_path_buf(),
                    id: *id,
                    side,
                };
                let sent = stage::send(control, into, wanted(sides, changed, side, which)).await?;
                match side {
                    Side::Older => staged.older = sent,
                    Side::Newer => staged.newer = sent,
                }
            }
            let ready = format!("ANALYZE {}; ANALYZE {}", rows.old, rows.new);
            control
                .batch_execute(&ready)
                .await
                .map_err(refused("looking at the changed rows"))?;
            whole(&staged, &rows)?;
        }
        all.push(staged);
    }
    Ok(all)
}

/// Makes a temporary table for the columns of `own`, without its rules.
pub async fn make(
    control: &Client,
    name: &str,
    own: &str,
    columns: &[String],
) -> Result<(), Error> {
    let bare = name.trim_start_matches("pg_temp.");
    let sql = format!(
        "CREATE TEMPORARY TABLE {bare} ON COMMIT DROP AS SELECT {} FROM {own} WITH NO DATA",
        columns.join(", "),
    );
    let made = control.batch_execute(&sql).await;
    made.map_err(refused("making a temporary table"))
}

/// Its rows are found by their key.
async fn index(control: &Client, name: &str, key: &[String]) -> Result<(), Error> {
    let sql = format!("CREATE INDEX ON {name} ({})", key.join(", "));
    let made = control.batch_execute(&sql).await;
    made.map_err(refused("making a temporary table"))
}

/// Rows of one side of a table.
pub fn wanted(sides: &Sides<'_>, changed: &Changed, side: Side, which: Which) -> Wanted {
    let (source, layout, place) = match side {
        Side::Newer => (sides.since.newer, &sides.newer, changed.places[0]),
        Side::Older => (sides.since.older, &sides.older, changed.places[1]),
    };
    Wanted {
        source: source.to_path_buf(),
        layout: layout.clone(),
        place,
        which,
    }
}

/// As many rows were read as the delta tells of.
fn whole(staged: &Staged<'_>, rows: &Rows) -> Result<(), Error> {
    let (newer, older) = (staged.changed.newer_rows, staged.changed.older_rows);
    if (staged.newer.rows, staged.older.rows) == (newer, older) {
        return Ok(());
    }
    Err(Error::Since(Refusal::Lost {
        table: rows.shown.clone(),
        what: format!(
            "{} row(s) as they are and {} as they were were read, of {newer} and {older}",
            staged.newer.rows, staged.older.rows
        ),
    }))
}
