//! Before the load: which import this is, what it goes on with, and for a new one the transaction that records it, takes away what is in
//! the way and empties what may be emptied (`D1`, first half of `D4`). All of that happens, or nothing.

use std::path::Path;

use tokio_postgres::{Client, Transaction};
use tokio_util::sync::CancellationToken;

use crate::runbook::transfer::{TargetRows, Transfer};
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::copy::away::is_open;
use crate::transfer::copy::definitions::{self, ForeignKey};
use crate::transfer::copy::empty::{self, Abandoned};
use crate::transfer::copy::key::{self, Sizes};
use crate::transfer::copy::record::{self, Definition, DefinitionKind, DefinitionState, Task};
use crate::transfer::copy::{account, promises};
use crate::transfer::error::server;
use crate::transfer::layout::Layout;
use crate::transfer::occupied::{self, Discard};
use crate::transfer::plan::scan::split;
use crate::transfer::reader::Cursor;

/// Rows of one task, about: small enough to share a large table between lanes, large enough to need few.
const TASK_ROWS: u64 = 500_000;

/// What an import goes on with.
pub struct Prepared {
    pub tasks: Vec<Task>,
    /// In the order of being taken away.
    pub definitions: Vec<Definition>,
    /// It had ended before; nothing is to be done.
    pub finished: bool,
}

/// What everything here needs to know of the import that is to run.
pub struct Wanted<'w> {
    /// Its key, and what that is made of.
    pub import: record::Import,
    /// A run of its own: once it has ended it counts as done, also under `target_rows: replace`.
    pub is_run: bool,
    pub source: &'w Path,
    pub schema: &'w str,
    pub layout: &'w Layout,
    /// What may be changed on the way.
    pub transfer: &'w Transfer,
}

/// Where the target stands with this import.
pub enum Standing {
    /// It is on record and goes on, or has ended.
    GoesOn(Prepared),
    /// It begins, and takes over from an unfinished one what that has left open.
    Begins(Former),
}

/// What an unfinished import left open.
#[derive(Default)]
pub struct Former {
    /// Definitions that are away, or back without their proof.
    open: Vec<Definition>,
    /// Its tables that are not planned any more.
    abandoned: Vec<Abandoned>,
}

/// One import at a time per schema: an advisory lock on the control connection, which the server lets go when the process dies.
pub async fn lock(client: &Client, schema: &str) -> Result<(), Error> {
    let name = format!("cutover import into {schema}");
    // A killed process's connection may take a moment to be noticed.
    for _ in 0..50 {
        let row = client
            .query_one(
                "SELECT pg_try_advisory_lock(hashtextextended($1, 0))",
                &[&name],
            )
            .await;
        if row.map_err(server("locking the import"))?.get(0) {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    Err(Error::Busy {
        schema: schema.to_owned(),
    })
}

/// Ends what an earlier process of the same import left running on the server: a COPY, an index build.
pub async fn end_leftovers(client: &Client, application_name: &str) -> Result<(), Error> {
    client
        .execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE application_name = $1 AND datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()",
            &[&application_name],
        )
        .await
        .map_err(server("ending what an earlier import left running"))?;
    Ok(())
}

/// Finds out where the target stands. Touches nothing.
///
/// # Errors
/// [`Error::Problems`] or [`Error::OtherImport`]: planned tables hold rows, and nobody said that they may be replaced.
pub async fn standing(client: &Client, wanted: &Wanted<'_>) -> Result<Standing, Error> {
    let (schema, layout) = (wanted.schema, wanted.layout);
    let imports = if record::exists(client).await? {
        record::imports(client, schema).await?
    } else {
        Vec::new()
    };
    let mut why_not = None;
    let same = imports
        .iter()
        .find(|import| import.key == wanted.import.key && import.prepared);
    if let Some(import) = same {
        let prepared = load(client, &import.key, import.finished).await?;
        why_not = unusable(client, wanted, import, &prepared.tasks).await?;
        if why_not.is_none() {
            return Ok(Standing::GoesOn(prepared));
        }
    }
    let unfinished = imports
        .iter()
        .find(|import| !import.finished && import.prepared);
    let Some(unfinished) = unfinished else {
        let problems = occupied::refused(client, schema, layout, wanted.transfer).await?;
        return if problems.is_empty() {
            Ok(Standing::Begins(Former::default()))
        } else {
            Err(Error::Problems(problems))
        };
    };
    let former = Former {
        open: open_definitions(client, &unfinished.key).await?,
        abandoned: empty::abandoned(client, &unfinished.key, layout).await?,
    };
    if wanted.transfer.target_rows != TargetRows::Replace {
        let problems = occupied::refused(client, schema, layout, wanted.transfer).await?;
        let tasks = record::tasks(client, &unfinished.key).await?;
        let has_loaded = tasks.iter().any(|task| task.rows > 0);
        let is_occupied =
            !problems.is_empty() || former.abandoned.iter().any(Abandoned::holds_rows);
        if is_occupied && has_loaded {
            let differs = key::difference(&unfinished.made_of, &wanted.import.made_of);
            return Err(Error::OtherImport {
                found: unfinished.key.clone(),
                schema: schema.to_owned(),
                why: why_not
                    .or(differs.map(str::to_owned))
                    .unwrap_or_else(|| "it was another".to_owned()),
            });
        }
        if is_occupied {
            return Err(Error::Problems(problems));
        }
    }
    Ok(Standing::Begins(former))
}

/// Why the recorded import of the same key cannot simply go on, or counts as not done.
async fn unusable(
    client: &Client,
    wanted: &Wanted<'_>,
    import: &record::Import,
    tasks: &[Task],
) -> Result<Option<String>, Error> {
    let layout = wanted.layout;
    let is_here = |task: &Task| {
        let mut tables = layout.tables.iter();
        tables.any(|table| table.target.oid == task.target_oid && table.source.name == task.table)
    };
    if !tasks.iter().all(is_here) {
        return Ok(Some("its tables were made anew since".to_owned()));
    }
    if import.finished && wanted.transfer.target_rows == TargetRows::Replace && !wanted.is_run {
        return Ok(Some("it has ended, and is to be done again".to_owned()));
    }
    let on_record = account::recorded(client, &import.key).await?;
    for table in &layout.tables {
        let own = tasks
            .iter()
            .filter(|task| task.target_oid == table.target.oid);
        let loaded: u64 = own.map(|task| task.rows).sum();
        let known = on_record.get(&record::storable(&table.source.name));
        let left = known.and_then(|known| known.left);
        let there = occupied::rows_there(client, wanted.schema, &table.target).await?;
        if let Some(there) = there.filter(|there| *there != loaded && left != Some(*there)) {
            return Ok(Some(format!(
                "{} holds {there} row(s), and by its checkpoints {loaded} were loaded",
                printable(&table.target.name, 80)
            )));
        }
    }
    Ok(None)
}

/// Records the import, takes away what is in the way and, where the runbook says so, empties the planned tables: in one transaction, so
/// that a refusal or a crash leaves the target as it was. `recorded` hears of the definitions before they are gone for anybody else.
///
/// # Errors
/// [`Error::Discard`]: rows would be deleted that SQLite does not have, and `discard` does not say just that.
pub async fn begin(
    client: &mut Client,
    wanted: &Wanted<'_>,
    former: Former,
    sizes: &Sizes,
    discard: &Discard,
    recorded: &(dyn Fn(&[Definition]) + Sync),
    cancel: &CancellationToken,
) -> Result<Prepared, Error> {
    let (schema, layout, key) = (wanted.schema, wanted.layout, &wanted.import.key);
    let doing = || "preparing the target for the load";
    let transaction = client.transaction().await.map_err(server(doing()))?;
    transaction
        .batch_execute("SET LOCAL lock_timeout = '30s'")
        .await
        .map_err(server(doing()))?;
    record::create(&transaction).await?;
    let foreign_keys = foreign_keys(transaction.client(), layout).await?;
    let tables: Vec<_> = layout
        .tables
        .iter()
        .map(|table| (&table.target, sizes.of(&table.source.name).rows))
        .collect();
    let collected =
        definitions::collect(schema, &tables, &layout.parts, &foreign_keys, &layout.fire);
    let definitions = definitions::with_open(collected, former.open.clone());
    record::begin(
        &transaction,
        &wanted.import,
        schema,
        &tasks(layout, sizes),
        &definitions,
    )
    .await?;
    promises::record(transaction.client(), key, layout).await?;
    let replaces = wanted.transfer.target_rows == TargetRows::Replace;
    let hides = |definition: &&Definition| definition.kind == DefinitionKind::RowSecurity;
    let mut statement = None;
    if replaces {
        empty::lock(transaction.client(), schema, layout, &former.abandoned).await?;
        // What is hidden cannot be counted.
        for definition in definitions.iter().filter(hides) {
            take_away(&transaction, key, definition).await?;
        }
        statement = empty::decide(
            transaction.client(),
            wanted,
            &former.abandoned,
            &former.open,
            discard,
            cancel,
        )
        .await?;
    }
    recorded(&definitions);
    for definition in definitions
        .iter()
        .filter(|definition| !(replaces && hides(definition)))
    {
        take_away(&transaction, key, definition).await?;
    }
    if let Some(statement) = statement {
        transaction
            .batch_execute(&statement)
            .await
            .map_err(server("emptying the planned tables"))?;
    }
    transaction.commit().await.map_err(server(doing()))?;
    load(client, key, false).await
}

async fn load(client: &Client, key: &str, finished: bool) -> Result<Prepared, Error> {
    Ok(Prepared {
        tasks: record::tasks(client, key).await?,
        definitions: record::definitions(client, key).await?,
        finished,
    })
}

/// What an unfinished import has open; what hung on tables that are gone is gone with them.
async fn open_definitions(client: &Client, key: &str) -> Result<Vec<Definition>, Error> {
    // Tables of every schema: a foreign key into the planned ones may be on any.
    let rows = client
        .query("SELECT oid FROM pg_class WHERE relkind IN ('r', 'p')", &[])
        .await
        .map_err(server("reading the target's tables"))?;
    let tables: Vec<u32> = rows.iter().map(|row| row.get(0)).collect();
    let mut open = record::definitions(client, key).await?;
    open.retain(|definition| {
        let mut ends = [Some(definition.table_oid), definition.other_oid].into_iter();
        is_open(definition.state) && ends.all(|oid| oid.is_none_or(|oid| tables.contains(&oid)))
    });
    Ok(open)
}

/// Tables in their order, large ones in ranges.
fn tasks(layout: &Layout, sizes: &Sizes) -> Vec<Task> {
    let mut tasks = Vec::new();
    for table in &layout.tables {
        let size = sizes.of(&table.source.name);
        for span in split(size.rows, size.span, TASK_ROWS) {
            tasks.push(Task {
                number: tasks.len() as i32,
                table: table.source.name.clone(),
                target_oid: table.target.oid,
                span,
                cursor: Cursor::Start,
                rows: 0,
                aside: 0,
                bytes: 0,
                done: false,
            });
        }
    }
    tasks
}

/// Foreign keys from or to planned tables, of any schema.
pub async fn foreign_keys(client: &Client, layout: &Layout) -> Result<Vec<ForeignKey>, Error> {
    let oids: Vec<u32> = layout.tables.iter().map(|table| table.target.oid).collect();
    let rows = client
        .query(
            "SELECT n.nspname::text, c.relname::text, k.conrelid, k.confrelid, k.conname::text, pg_get_constraintdef(k.oid),
                    obj_description(k.oid, 'pg_constraint'), c.relkind = 'p' OR f.relkind = 'p'
             FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
             JOIN pg_class f ON f.oid = k.confrelid
             WHERE k.contype = 'f' AND k.conparentid = 0 AND (k.conrelid = ANY($1) OR k.confrelid = ANY($1))
             ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\", k.conname COLLATE \"C\"",
            &[&oids],
        )
        .await
        .map_err(server("reading the foreign keys"))?;
    Ok(rows
        .iter()
        .map(|row| ForeignKey {
            schema: row.get(0),
            table: row.get(1),
            table_oid: row.get(2),
            references_oid: row.get(3),
            name: row.get(4),
            definition: row.get(5),
            comment: row.get(6),
            partitioned: row.get(7),
        })
        .collect())
}

/// Takes a recorded definition away, if it is not away already.
async fn take_away(
    transaction: &Transaction<'_>,
    key: &str,
    definition: &Definition,
) -> Result<(), Error> {
    if definition.state != DefinitionState::Recorded {
        return Ok(());
    }
    let doing = || {
        server(format!(
            "taking {} on {} away for the load",
            printable(&definition.name, 80),
            printable(&definition.table, 80)
        ))
    };
    transaction
        .batch_execute("SAVEPOINT one")
        .await
        .map_err(doing())?;
    let state = match transaction.batch_execute(&definition.take_away).await {
        Ok(()) => DefinitionState::Away,
        // Something hangs on it (a view grouped by the key, a table that is not ours): it stays, and the load minds it.
        Err(error) if is_held(&error) => {
            transaction
                .batch_execute("ROLLBACK TO SAVEPOINT one")
                .await
                .map_err(doing())?;
            DefinitionState::Kept
        }
        Err(error) => return Err(doing()(error)),
    };
    let state = record::set_state(key, definition.number, state);
    transaction
        .batch_execute(&format!("RELEASE SAVEPOINT one; {state}"))
        .await
        .map_err(doing())
}

fn is_held(error: &tokio_postgres::Error) -> bool {
    use tokio_postgres::error::SqlState;
    let held = [
        SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
        SqlState::INSUFFICIENT_PRIVILEGE,
        SqlState::FEATURE_NOT_SUPPORTED,
    ];
    error.code().is_some_and(|code| held.contains(code))
}
