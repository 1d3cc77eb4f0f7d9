//! Before the load: which import this is, what it goes on with, what is recorded and taken away (`D1`, first half of `D4`).

use std::path::Path;

use sha2::{Digest, Sha256};
use tokio_postgres::Client;

use crate::runbook::transfer::{TargetRows, Transfer};
use crate::target::quoted;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::copy::definitions::{self, ForeignKey};
use crate::transfer::copy::record::{self, Definition, DefinitionState, Task};
use crate::transfer::error::{read, server};
use crate::transfer::layout::{Layout, TableLayout};
use crate::transfer::plan::preflight;
use crate::transfer::plan::scan::{open, split};
use crate::transfer::reader::{Cursor, Span, estimate};

/// Rows of one task, about: small enough to share a large table between lanes, large enough to need few.
const TASK_ROWS: u64 = 500_000;

/// How large the tables are, by place in the layout: rows (estimated) and the range of rowids.
pub type Sizes = Vec<(u64, Span)>;

/// What an import goes on with.
pub struct Prepared {
    /// In order.
    pub tasks: Vec<Task>,
    /// In the order of being taken away.
    pub definitions: Vec<Definition>,
    /// It had ended before; nothing is to be done.
    pub finished: bool,
}

/// Measures the tables.
pub fn sizes(source: &Path, layout: &Layout) -> Result<Sizes, Error> {
    let connection = open(source)?;
    let size = |table: &TableLayout| {
        estimate(&connection, &table.source).map_err(read(source, &table.source.name))
    };
    layout.tables.iter().map(size).collect()
}

/// A key for an import that was given none: the same source, layout and transfer section go on with one another.
pub fn derived_key(
    source: &Path,
    layout: &Layout,
    sizes: &Sizes,
    transfer: &Transfer,
    schema: &str,
) -> Result<String, Error> {
    let connection = open(source)?;
    let version = |name: &str| {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map_err(read(source, "its header"))
    };
    let tables: Vec<_> = layout
        .tables
        .iter()
        .zip(sizes)
        .map(|(table, (rows, span))| {
            let columns: Vec<_> = table
                .columns
                .iter()
                .map(|column| (table.source_name(column), &column.target.ty.shown))
                .collect();
            serde_json::json!([table.source.name, table.target.name, columns, rows, span])
        })
        .collect();
    let identity = serde_json::json!([
        version("page_count")?,
        version("schema_version")?,
        version("user_version")?,
        tables,
        transfer,
        schema
    ]);
    Ok(Sha256::digest(identity.to_string())
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect())
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

/// Finds the recorded import of this key, or records a new one ([`start_over`] has made way for it); then takes away what is in the way. Safe to repeat at any point. An
/// import that has ended counts as done when its key was stated; a derived key with `target_rows: replace` means to do it again.
#[allow(clippy::too_many_arguments)]
pub async fn prepare(
    client: &mut Client,
    key: &str,
    schema: &str,
    layout: &Layout,
    sizes: &Sizes,
    transfer: &Transfer,
    key_is_stated: bool,
    recorded: &(dyn Fn(&[Definition]) + Sync),
) -> Result<Prepared, Error> {
    if let Some(import) = usable(client, key, schema, layout, transfer, key_is_stated).await? {
        let prepared = load(client, key, import.finished).await?;
        if import.finished {
            return Ok(prepared);
        }
        if import.prepared {
            recorded(&prepared.definitions);
            return Ok(prepared);
        }
    } else {
        let occupied = preflight::occupied(client, schema, layout, transfer).await?;
        if !occupied.is_empty() {
            return Err(Error::Problems(occupied));
        }
        let foreign_keys = foreign_keys(client, layout).await?;
        let tables: Vec<_> = layout
            .tables
            .iter()
            .zip(sizes)
            .map(|(table, (rows, _))| (&table.target, *rows))
            .collect();
        let definitions = definitions::collect(schema, &tables, &foreign_keys);
        record::begin(client, key, schema, &tasks(layout, sizes), &definitions).await?;
    }
    let prepared = load(client, key, false).await?;
    recorded(&prepared.definitions);
    take_away(client, key, schema, layout, transfer, &prepared.definitions).await?;
    load(client, key, false).await
}

async fn load(client: &Client, key: &str, finished: bool) -> Result<Prepared, Error> {
    Ok(Prepared {
        tasks: record::tasks(client, key).await?,
        definitions: record::definitions(client, key).await?,
        finished,
    })
}

/// The recorded import of this key, if its target tables are still the same.
async fn usable(
    client: &Client,
    key: &str,
    schema: &str,
    layout: &Layout,
    transfer: &Transfer,
    key_is_stated: bool,
) -> Result<Option<record::Import>, Error> {
    let imports = record::imports(client, schema).await?;
    let Some(import) = imports.into_iter().find(|import| import.key == key) else {
        return Ok(None);
    };
    let tasks = record::tasks(client, key).await?;
    let same = tasks.iter().all(|task| {
        layout
            .tables
            .iter()
            .any(|table| table.target.oid == task.target_oid)
    });
    if !same {
        // Somebody made the tables anew; what was recorded belongs to the former ones.
        return Ok(None);
    }
    if !import.finished {
        return Ok(Some(import));
    }
    if transfer.target_rows == TargetRows::Replace && !key_is_stated {
        return Ok(None);
    }
    for table in layout
        .tables
        .iter()
        .filter(|table| !table.target.row_security_forced)
    {
        let loaded: u64 = tasks
            .iter()
            .filter(|task| task.target_oid == table.target.oid)
            .map(|task| task.rows)
            .sum();
        let sql = format!(
            "SELECT count(*) FROM {}.{}",
            quoted(schema),
            quoted(&table.target.name)
        );
        let rows: i64 = client
            .query_one(&sql, &[])
            .await
            .map_err(server("counting what is there"))?
            .get(0);
        if rows.unsigned_abs() != loaded {
            return Ok(None);
        }
    }
    Ok(Some(import))
}

/// Another import that never ended keeps its definitions until somebody finishes it, or says that rows may be replaced. Whether
/// definitions were put back, so that what was read of the target before is no longer true.
pub async fn start_over(
    client: &mut Client,
    key: &str,
    schema: &str,
    layout: &Layout,
    transfer: &Transfer,
    key_is_stated: bool,
) -> Result<bool, Error> {
    record::create(client).await?;
    if usable(client, key, schema, layout, transfer, key_is_stated)
        .await?
        .is_some()
    {
        return Ok(false);
    }
    let imports = record::imports(client, schema).await?;
    let Some(unfinished) = imports.iter().find(|import| !import.finished) else {
        return Ok(false);
    };
    let definitions = record::definitions(client, &unfinished.key).await?;
    let tables = table_oids(client).await?;
    let mut away: Vec<&Definition> = definitions
        .iter()
        .filter(|definition| is_open(definition.state))
        .collect();
    // What hung on tables that are gone is gone with them.
    away.retain(|definition| {
        let mut ends = [Some(definition.table_oid), definition.other_oid].into_iter();
        ends.all(|oid| oid.is_none_or(|oid| tables.contains(&oid)))
    });
    if away.is_empty() {
        return Ok(false);
    }
    if transfer.target_rows != TargetRows::Replace {
        return Err(Error::OtherImport {
            found: unfinished.key.clone(),
            schema: schema.to_owned(),
        });
    }
    let doing = || "putting back the definitions of an import that never ended";
    let transaction = client.transaction().await.map_err(server(doing()))?;
    let filled = record_names(&transaction, &unfinished.key).await?;
    let mut statements = Vec::new();
    // A key that is back without its proof would be in the way of emptying the table it refers to.
    let unproven = |definition: &&&Definition| definition.state == DefinitionState::Unproven;
    statements.extend(
        away.iter()
            .filter(unproven)
            .map(|key| key.take_away.clone()),
    );
    if !filled.is_empty() {
        statements.push(format!("TRUNCATE {}", filled.join(", ")));
    }
    for definition in away.iter().rev() {
        statements.push(definition.put_back.clone());
        statements.extend(definition.prove.clone());
        let back = DefinitionState::Back;
        statements.push(record::set_state(&unfinished.key, definition.number, back));
    }
    for statement in statements {
        transaction
            .batch_execute(&statement)
            .await
            .map_err(server(doing()))?;
    }
    transaction.commit().await.map_err(server(doing()))?;
    Ok(true)
}

/// Whether something is still to be done for the definition to be as it was.
fn is_open(state: DefinitionState) -> bool {
    matches!(state, DefinitionState::Away | DefinitionState::Unproven)
}

/// Tables of every schema: a foreign key into the planned ones may be on any.
async fn table_oids(client: &Client) -> Result<Vec<u32>, Error> {
    let rows = client
        .query("SELECT oid FROM pg_class WHERE relkind IN ('r', 'p')", &[])
        .await
        .map_err(server("reading the target's tables"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn record_names(
    transaction: &tokio_postgres::Transaction<'_>,
    key: &str,
) -> Result<Vec<String>, Error> {
    let rows = transaction
        .query(
            "SELECT DISTINCT format('%I.%I', n.nspname, c.relname) FROM cutover.task t JOIN pg_class c ON c.oid = t.target_oid
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE t.import = $1",
            &[&key],
        )
        .await
        .map_err(server("reading the tables of an import that never ended"))?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Tables in their order, large ones in ranges.
fn tasks(layout: &Layout, sizes: &Sizes) -> Vec<Task> {
    let mut tasks = Vec::new();
    for (table, (rows, span)) in layout.tables.iter().zip(sizes) {
        for span in split(*rows, *span, TASK_ROWS) {
            tasks.push(Task {
                number: tasks.len() as i32,
                table: table.source.name.clone(),
                target_oid: table.target.oid,
                span,
                cursor: Cursor::Start,
                rows: 0,
                bytes: 0,
                done: false,
            });
        }
    }
    tasks
}

/// Foreign keys from or to planned tables, of any schema.
async fn foreign_keys(client: &Client, layout: &Layout) -> Result<Vec<ForeignKey>, Error> {
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

/// Takes the recorded definitions away and, where the runbook says so, empties the planned tables: all in one transaction.
async fn take_away(
    client: &mut Client,
    key: &str,
    schema: &str,
    layout: &Layout,
    transfer: &Transfer,
    definitions: &[Definition],
) -> Result<(), Error> {
    let doing = || "taking triggers, foreign keys and indexes away for the load";
    let transaction = client.transaction().await.map_err(server(doing()))?;
    transaction
        .batch_execute("SET LOCAL lock_timeout = '30s'")
        .await
        .map_err(server(doing()))?;
    for definition in definitions {
        transaction
            .batch_execute("SAVEPOINT one")
            .await
            .map_err(server(doing()))?;
        let state = match transaction.batch_execute(&definition.take_away).await {
            Ok(()) => DefinitionState::Away,
            // Something hangs on it (a view grouped by the key, a table that is not ours): it stays, and the load minds it.
            Err(error) if is_held(&error) => {
                transaction
                    .batch_execute("ROLLBACK TO SAVEPOINT one")
                    .await
                    .map_err(server(doing()))?;
                DefinitionState::Kept
            }
            Err(error) => {
                let doing = format!(
                    "{} ({} on {})",
                    doing(),
                    printable(&definition.name, 80),
                    printable(&definition.table, 80)
                );
                return Err(server(doing)(error));
            }
        };
        transaction
            .batch_execute(&record::set_state(key, definition.number, state))
            .await
            .map_err(server(doing()))?;
    }
    if transfer.target_rows == TargetRows::Replace && !layout.tables.is_empty() {
        let tables: Vec<String> = layout
            .tables
            .iter()
            .map(|table| format!("{}.{}", quoted(schema), quoted(&table.target.name)))
            .collect();
        let truncate = format!("TRUNCATE {}", tables.join(", "));
        transaction
            .batch_execute(&truncate)
            .await
            .map_err(server("emptying the planned tables"))?;
    }
    transaction
        .execute(
            "UPDATE cutover.import SET prepared = true WHERE key = $1",
            &[&key],
        )
        .await
        .map_err(server(doing()))?;
    transaction.commit().await.map_err(server(doing()))
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
