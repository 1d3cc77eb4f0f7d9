//! What was brought and what is on record afterwards, as `copy` tells it.

use tokio_postgres::Client;

use crate::transfer::Error;
use crate::transfer::copy::record::{self, Definition, DefinitionKind, DefinitionState, Task};
use crate::transfer::copy::{Copied, CopiedTable, evidence, promises};
use crate::transfer::delta::changes::{Staged, layout};
use crate::transfer::delta::ways::By;
use crate::transfer::delta::{Brought, Sides};
use crate::transfer::layout::structural;
use crate::transfer::plan::Problem;

/// What was brought, in numbers.
pub fn brought(sides: &Sides<'_>, staged: &[Staged<'_>]) -> Brought {
    let mut brought = Brought::default();
    for staged in staged {
        match &staged.changed.way {
            By::Anew(why) => {
                let table = layout(sides, staged.changed).source.name.clone();
                brought.anew.push((table, why.clone()));
            }
            By::Rows { .. } => {
                brought.tables += 1;
                brought.inserted += staged.counted.inserted;
                brought.updated += staged.counted.updated;
                brought.deleted += staged.counted.deleted;
            }
        }
    }
    brought
}

/// What is on record, as `copy` tells it.
pub async fn told(control: &Client, sides: &Sides<'_>, tasks: &[Task]) -> Result<Copied, Error> {
    let key = &sides.after.key;
    let (policies, quarantined) = evidence::so_far(control, key).await?;
    let mut copied = Copied {
        policies,
        quarantined,
        ..Copied::default()
    };
    for table in &sides.newer.tables {
        let own = tasks
            .iter()
            .filter(|task| task.target_oid == table.target.oid);
        let (rows, bytes) = own.fold((0, 0), |(rows, bytes), task| {
            (rows + task.rows, bytes + task.bytes)
        });
        copied.rows += rows;
        copied.tables.push(CopiedTable {
            table: table.source.name.clone(),
            rows,
            bytes,
            seconds: 0.0,
        });
    }
    let rebuilt = |definition: &&Definition| {
        let kind = matches!(
            definition.kind,
            DefinitionKind::Foreign | DefinitionKind::Key | DefinitionKind::Index
        );
        kind && definition.state == DefinitionState::Back
    };
    let known = record::definitions(control, key).await?;
    copied.constraints_rebuilt = known.iter().filter(rebuilt).count() as u64;
    let warnings = sides.newer.warnings.iter().cloned();
    let warnings = warnings.map(|warning| Problem {
        policy: None,
        ..warning
    });
    let before = promises::recorded(control, key).await?;
    let keys = sides.newer.keys_not_kept(before.as_deref());
    copied.notes = warnings.chain(keys).collect();
    Ok(copied)
}

/// Tables that were brought whole, as notes.
pub fn notes(brought: &Brought) -> Vec<Problem> {
    let note = |(table, why): &(String, String)| {
        structural(table, "", format!("brought whole: {why}"), None)
    };
    brought.anew.iter().map(note).collect()
}
