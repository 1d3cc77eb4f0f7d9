//! Both schemas, read and paired. Not in here: how tables and columns pair (`transfer::layout`), and what a plan says of them.

use std::path::Path;
use std::sync::Arc;

use super::{readers, scan};
use crate::postgres::catalogue::Catalogue;
use crate::runbook::transfer::Transfer;
use crate::sqlite::schema::Schema;
use crate::transfer::copy::away;
use crate::transfer::layout::Layout;
use crate::transfer::{Error, defaults, error};

/// What goes where. What an unfinished import has away for its load counts as there.
///
/// # Errors
/// One of the schemas cannot be read.
pub(crate) async fn read_layout(
    source: &Path,
    client: &tokio_postgres::Client,
    schema: &str,
    transfer: &Transfer,
) -> Result<Arc<Layout>, Error> {
    read_layout_with(source, client, schema, transfer, Layout::new).await
}

/// The same, paired by `pair`.
pub(super) async fn read_layout_with(
    source: &Path,
    client: &tokio_postgres::Client,
    schema: &str,
    transfer: &Transfer,
    pair: impl Fn(&Schema, &Catalogue, &Transfer) -> Layout,
) -> Result<Arc<Layout>, Error> {
    let path = source.to_path_buf();
    let reading = tokio::task::spawn_blocking(move || {
        let connection = scan::open(&path)?;
        Schema::read(&connection).map_err(error::read(&path, "the schema"))
    });
    let from = reading.await.expect("BUG: reading the schema panicked")?;
    let mut to = Catalogue::read(client, schema)
        .await
        .map_err(error::server("reading the target's catalogue"))?;
    away::restore_from_record(client, &mut to).await?;
    let mut layout = pair(&from, &to, transfer);
    defaults::fill(client, &mut layout).await?;
    readers::mark(client, &mut layout).await?;
    Ok(Arc::new(layout))
}
