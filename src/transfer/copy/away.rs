//! The catalogue as it will be when an unfinished import has ended: what is away for the load is seen as if it were there.
//!
//! Whatever is derived from the catalogue (the order, orphans, rows that a unique key would refuse) is then the same before a load,
//! in the middle of one and after it. Taking definitions away is [`super::prepare`]'s business.

use tokio_postgres::Client;

use crate::postgres::catalogue::Catalogue;
use crate::transfer::Error;
use crate::transfer::copy::record::{self, Definition, DefinitionState, Described};
use crate::transfer::error::server;

const READABLE: &str = "
    SELECT count(*) = 2
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname IN ('made_of', 'described') AND NOT a.attisdropped
     WHERE n.nspname = 'cutover' AND c.relname IN ('import', 'definition')
       AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')";

/// Puts into `catalogue` what an unfinished import into its schema has away. Only reads.
pub async fn restore_from_record(client: &Client, catalogue: &mut Catalogue) -> Result<(), Error> {
    let readable = client
        .query_one(READABLE, &[])
        .await
        .map_err(server("looking for the record of an unfinished import"))?;
    if !readable.get::<_, bool>(0) {
        return Ok(());
    }
    for import in record::imports(client, &catalogue.schema).await? {
        if !import.finished {
            restore(catalogue, &record::definitions(client, &import.key).await?);
        }
    }
    Ok(())
}

/// Whether something is still to be done for the definition to be as it was.
pub fn is_open(state: DefinitionState) -> bool {
    match state {
        DefinitionState::Away | DefinitionState::Unproven => true,
        DefinitionState::Recorded | DefinitionState::Kept | DefinitionState::Back => false,
    }
}

/// Each open definition by what the catalogue said of it; one that is there without its proof counts as proven.
fn restore(catalogue: &mut Catalogue, definitions: &[Definition]) {
    for definition in definitions.iter().filter(|known| is_open(known.state)) {
        let tables = &mut catalogue.tables;
        let Some(table) = tables
            .iter_mut()
            .find(|table| table.oid == definition.table_oid)
        else {
            continue;
        };
        let Described { constraint, index } = definition.described.clone();
        if let Some(constraint) = constraint {
            table
                .constraints
                .retain(|here| here.name != constraint.name);
            table.constraints.push(constraint);
            table.constraints.sort_by(|a, b| a.name.cmp(&b.name));
        }
        if let Some(index) = index {
            table.indexes.retain(|here| here.name != index.name);
            table.indexes.push(index);
            table.indexes.sort_by(|a, b| a.name.cmp(&b.name));
        }
    }
}
