//! An import that has ended, looked at again without repeating it: its sequences (`D3`), and what was taken away for it and is to be back
//! (`D4`). Not in here: rows, which `D2` counts when it ends and `E1` counts on its own.

use std::path::Path;
use std::sync::Arc;

use tokio_postgres::Client;

use crate::postgres::sequences::{self, Aligned, Numbered};
use crate::postgres::{Endpoint, Pinned};
use crate::runbook::transfer::Transfer;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::error::server;
use crate::transfer::layout::Layout;
use crate::transfer::plan::{numbers, read_layout};
use crate::transfer::session::{Target, application_path};

use super::record::{self, DefinitionKind, DefinitionState};
use super::{key, prepare};

/// A recorded import that has ended. Nobody else imports into its schema while this is held.
pub struct Ended {
    control: Pinned,
    layout: Arc<Layout>,
    key: String,
}

/// What was taken away for the load, after it.
#[derive(Debug, Clone, Default)]
pub struct PutBack {
    /// Constraints, keys, indexes, triggers and forced row security that are in force.
    pub in_force: u64,
    /// Those that are not, each with its table and what is wrong.
    pub wrong: Vec<String>,
}

impl Ended {
    /// Finds the import of `run` on record in the target.
    ///
    /// # Errors
    /// [`Error::Target`] where it is not on record, or has not ended; otherwise as [`super::copy`]. Nothing is changed.
    pub async fn find(
        source: &Path,
        endpoint: &Endpoint,
        schema: &str,
        transfer: &Transfer,
        run: &str,
    ) -> Result<Self, Error> {
        let target = Target {
            endpoint: endpoint.clone(),
            schema: schema.to_owned(),
            application_name: format!("cutover import into {schema}"),
        };
        let control = target.connect().await?;
        prepare::lock(&control, schema).await?;
        let layout = read_layout(source, &control, schema, transfer).await?;
        let made_of = key::made_of(run, &layout, transfer);
        let key = key::of(&made_of, schema);
        let imports = if record::exists(&control).await? {
            record::imports(&control, schema).await?
        } else {
            Vec::new()
        };
        let why = match imports.iter().find(|import| import.key == key) {
            Some(import) if import.finished => {
                return Ok(Self {
                    control,
                    layout,
                    key,
                });
            }
            Some(_) => "it is on record there and has not ended".to_owned(),
            None => match imports.first() {
                Some(other) => format!(
                    "the one on record there is another: {}",
                    key::difference(&other.made_of, &made_of).unwrap_or("its schema was another")
                ),
                None => "none is on record there".to_owned(),
            },
        };
        Err(Error::Target(format!(
            "the import of this session is not complete in schema {}: {why}. Nothing was changed",
            printable(schema, 80)
        )))
    }

    /// Sets every sequence beyond what the source ever gave out, and reads it back. Repeating it changes nothing.
    pub async fn sequences(&self, source: &Path) -> Result<Vec<Aligned>, Error> {
        let mut numbered = numbered(source, &self.layout).await?;
        // Forced row security is back and hides the rows; their sequences were proven before the import ended.
        numbered.retain(|column| !is_hidden(&self.layout, column));
        let path = application_path(&self.control, &self.layout.schema).await?;
        align(&self.control, &self.layout, &path, &numbered).await
    }

    /// Whether everything that the import had taken away is in force, by the server's own catalogue.
    pub async fn put_back(&self) -> Result<PutBack, Error> {
        let doing = || server("looking at what the import had taken away");
        let rows = self.control.query(IN_FORCE, &[&self.key]).await;
        let mut put_back = PutBack::default();
        for row in rows.map_err(doing())? {
            let (kind, table, name): (String, String, String) =
                (row.get(0), row.get(1), row.get(2));
            let state = DefinitionState::of_word(row.get(3));
            let is_back = matches!(state, DefinitionState::Back | DefinitionState::Kept);
            let wrong = match row.get::<_, Option<bool>>(4) {
                _ if !is_back => "was not put back",
                None => "is not there any more",
                Some(false) => "is there and not in force",
                Some(true) => {
                    put_back.in_force += 1;
                    continue;
                }
            };
            let what = match DefinitionKind::of_word(&kind) {
                DefinitionKind::Trigger => "trigger",
                DefinitionKind::RowSecurity => "forced row security",
                DefinitionKind::Foreign => "foreign key",
                DefinitionKind::Key => "key",
                DefinitionKind::Index => "index",
            };
            let of = format!(
                "{what} {} of {}",
                printable(&name, 80),
                printable(&table, 80)
            );
            put_back.wrong.push(format!("{of} {wrong}"));
        }
        Ok(put_back)
    }
}

/// Per definition whether it is in force: no row of the catalogue, no answer. A foreign key that had no proof before needs none after.
const IN_FORCE: &str = "
SELECT d.kind, d.table_name, d.name, d.state, CASE d.kind
    WHEN 'foreign' THEN (SELECT c.convalidated OR d.prove IS NULL FROM pg_constraint c WHERE c.conrelid = d.table_oid AND c.conname = d.name)
    WHEN 'trigger' THEN (SELECT t.tgenabled <> 'D' FROM pg_trigger t WHERE t.tgrelid = d.table_oid AND t.tgname = d.name)
    WHEN 'row_security' THEN (SELECT c.relforcerowsecurity FROM pg_class c WHERE c.oid = d.table_oid)
    ELSE (SELECT i.indisvalid FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = d.table_oid AND x.relname = d.name)
  END
  FROM cutover.definition d WHERE d.import = $1 ORDER BY d.number";

/// The columns that sequences may number, with what the source gave out.
pub(in crate::transfer) async fn numbered(
    source: &Path,
    layout: &Arc<Layout>,
) -> Result<Vec<Numbered>, Error> {
    let (source, layout) = (source.to_path_buf(), layout.clone());
    let reading = tokio::task::spawn_blocking(move || numbers::numbered(&source, &layout));
    reading.await.expect("BUG: reading the numbers panicked")
}

/// Whether the rows of the column's table are hidden from its owner.
pub(in crate::transfer) fn is_hidden(layout: &Layout, column: &Numbered) -> bool {
    let mut tables = layout.tables.iter();
    tables.any(|table| table.target.oid == column.table_oid && table.target.row_security_forced)
}

/// Aligns them. A query on a table has the server look into its indexes, whose functions may need the application's path.
pub(in crate::transfer) async fn align(
    control: &Client,
    layout: &Layout,
    search_path: &str,
    numbered: &[Numbered],
) -> Result<Vec<Aligned>, Error> {
    let aligning = || server("aligning the sequences");
    let set_path = format!("SET search_path = {search_path}");
    control.batch_execute(&set_path).await.map_err(aligning())?;
    let aligned = sequences::align(control, &layout.schema, numbered, &layout.sequences).await;
    let aligned = aligned.map_err(aligning())?;
    control
        .batch_execute("SET search_path = ''")
        .await
        .map_err(aligning())?;
    Ok(aligned)
}
