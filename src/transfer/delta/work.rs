//! The transaction, from its first lock to what is on record at its end. Its commit is the caller's.

use std::collections::BTreeMap;
use std::path::Path;

use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::delta::Delta;
use crate::postgres::{Pinned, quoted};
use crate::text::printable;
use crate::transfer::copy::record::{self, Definition, Task};
use crate::transfer::copy::{Copied, account, definitions, empty, ended, prepare};
use crate::transfer::delta::apply::{Away, Expected, Work, expected};
use crate::transfer::delta::book::{self, Uses};
use crate::transfer::delta::changes::{self, Staged, layout, send_changes, wanted};
use crate::transfer::delta::keys;
use crate::transfer::delta::refusal::Refusal;
use crate::transfer::delta::stage::{self, Side, Which};
use crate::transfer::delta::told::{brought, notes, told};
use crate::transfer::delta::ways::{self, By, Changed, Rows};
use crate::transfer::delta::{Sides, refused};
use crate::transfer::layout::TableLayout;
use crate::transfer::occupied::{
    self,
    obstacles::{Emptying, obstacles},
};
use crate::transfer::plan::numbers;
use crate::transfer::reader::{Cursor, Span};
use crate::transfer::{Error, Progress};

/// Brings the changes; everything but the commit is done afterwards.
pub async fn run(
    sides: &Sides<'_>,
    control: &Pinned,
    delta: &Delta,
    file: &Path,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Copied, Error> {
    let changed = ways::of(delta, &sides.newer, &sides.older);
    begin(sides, control).await?;
    let definitions = in_the_way(sides, control, &changed).await?;
    let work = Work {
        client: control,
        definitions: &definitions,
    };
    // Before triggers are away, of which some may stand against it.
    may_be_emptied(sides, control, &changed).await?;
    work.beside(true).await?;
    progress(Progress::Phase { phase: "load" });
    let mut staged = send_changes(sides, control, &changed, file).await?;
    let oids: Vec<u32> = changed
        .iter()
        .map(|changed| layout(sides, changed).target.oid)
        .collect();
    let around = keys::around(control, &oids).await?;
    let mut away = Away::default();
    anew(sides, &work, &around, &mut away, &mut staged).await?;
    by_rows(sides, &work, &around, &mut away, &mut staged).await?;
    work.put_back(&away).await?;
    progress(Progress::Phase { phase: "account" });
    let tasks = put_on_record(sides, control, &staged).await?;
    let (newer, key) = (sides.since.newer, &sides.after.key);
    let (schema, layout) = (sides.since.schema, &sides.newer);
    let account = account::take(control, newer, schema, layout, key, &tasks).await;
    let account = account.map_err(not_there)?;
    account::record(control, key, &account).await?;
    let mut copied = told(control, sides, &tasks).await?;
    copied.account = account;
    copied.constraints_rebuilt = away.foreign.len() as u64;
    let brought = brought(sides, &staged);
    copied.notes.extend(notes(&brought));
    copied.since = Some(brought);
    copied.after = refresh(sides, control).await?;
    progress(Progress::Phase { phase: "sequences" });
    align(sides, control, &oids, &mut copied).await?;
    work.beside(false).await?;
    Ok(copied)
}

/// Opens the transaction, with writers kept out of every table that moves.
async fn begin(sides: &Sides<'_>, control: &Client) -> Result<(), Error> {
    // What the application's operators and functions name without a schema is found as it will be found later.
    let begin = format!(
        "BEGIN; SET LOCAL lock_timeout = '30s'; SET LOCAL search_path = {}",
        sides.search_path
    );
    control
        .batch_execute(&begin)
        .await
        .map_err(refused("beginning"))?;
    empty::lock(control, sides.since.schema, &sides.newer, &[]).await?;
    are_planned(sides, control).await
}

/// Makes sure that the columns are still those of the plan: a value for one type may be read as one of another.
async fn are_planned(sides: &Sides<'_>, control: &Client) -> Result<(), Error> {
    let oids = sides.newer.tables.iter().map(|table| table.target.oid);
    let oids: Vec<u32> = oids.collect();
    let rows = control
        .query(
            "SELECT attrelid, attnum, atttypid, atttypmod FROM pg_attribute WHERE attrelid = ANY($1) AND attnum > 0 AND NOT attisdropped",
            &[&oids],
        )
        .await
        .map_err(refused("looking at the columns"))?;
    let now: BTreeMap<(u32, i16), (u32, i32)> = rows
        .iter()
        .map(|row| ((row.get(0), row.get(1)), (row.get(2), row.get(3))))
        .collect();
    for table in &sides.newer.tables {
        for column in &table.columns {
            let (name, ty) = (&column.target.name, &column.target.ty);
            let found = now.get(&(table.target.oid, column.target.number));
            if found != Some(&(ty.oid, ty.typmod)) {
                return Err(Error::Changed {
                    table: table.target.name.clone(),
                    what: format!("column {} has another type", printable(name, 80)),
                });
            }
        }
    }
    Ok(())
}

/// Rows that do not add up at the end were others before the beginning.
fn not_there(error: Error) -> Error {
    match error {
        Error::Account { wrong, account } => match wrong.first() {
            Some(first) => Error::Since(Refusal::NotThere {
                table: first.table.clone(),
                what: first.to_string(),
            }),
            None => Error::Account { wrong, account },
        },
        error => error,
    }
}

/// Triggers, forced row security and foreign keys of changed tables.
async fn in_the_way(
    sides: &Sides<'_>,
    control: &Client,
    changed: &[Changed],
) -> Result<Vec<Definition>, Error> {
    let foreign = prepare::foreign_keys(control, &sides.newer).await?;
    let tables: Vec<_> = changed
        .iter()
        .map(|changed| (&layout(sides, changed).target, 0))
        .collect();
    let is_part = |oid: &u32| tables.iter().any(|(table, _)| table.parts.contains(oid));
    let parts = sides.newer.parts.iter().filter(|part| is_part(&part.oid));
    let parts: Vec<_> = parts.cloned().collect();
    Ok(definitions::collect(
        sides.since.schema,
        &tables,
        &parts,
        &foreign,
        &sides.newer.fire,
    ))
}

/// Refuses where something lies on a table that goes anew and must not be bypassed by emptying it.
async fn may_be_emptied(
    sides: &Sides<'_>,
    control: &Client,
    changed: &[Changed],
) -> Result<(), Error> {
    let anew = changed
        .iter()
        .filter(|changed| matches!(changed.way, By::Anew(_)));
    let oids: Vec<u32> = anew
        .map(|changed| layout(sides, changed).target.oid)
        .collect();
    if oids.is_empty() {
        return Ok(());
    }
    let emptying = Emptying {
        source: sides.since.newer,
        layout: &sides.newer,
        emptied: &oids,
        open: &[],
    };
    let against = obstacles(control, &emptying, &CancellationToken::new()).await?;
    match against.first() {
        Some(first) => Err(Error::Since(Refusal::Obstacle(first.to_string()))),
        None => Ok(()),
    }
}

/// Tables that go anew: emptied, and read whole.
async fn anew(
    sides: &Sides<'_>,
    work: &Work<'_>,
    around: &[keys::Key],
    away: &mut Away,
    staged: &mut [Staged<'_>],
) -> Result<(), Error> {
    let is_anew = |staged: &&mut Staged<'_>| matches!(staged.changed.way, By::Anew(_));
    let mut anew: Vec<_> = staged.iter_mut().filter(is_anew).collect();
    if anew.is_empty() {
        return Ok(());
    }
    for staged in &anew {
        is_as_imported(sides, work.client, staged.changed).await?;
    }
    let tables: Vec<&TableLayout> = anew
        .iter()
        .map(|staged| layout(sides, staged.changed))
        .collect();
    work.empty(&tables, around, away).await?;
    for staged in &mut anew {
        let table = layout(sides, staged.changed);
        let into = format!("{}.{}", quoted(&table.schema), quoted(&table.target.name));
        let wanted = wanted(sides, staged.changed, Side::Newer, Which::All);
        staged.newer = stage::send(work.client, &into, wanted).await?;
    }
    Ok(())
}

/// Makes sure that a table which is emptied holds just the rows that were imported: others are somebody's own, and would be lost. The older
/// snapshot is read and converted once more for it, since the record knows their number alone.
async fn is_as_imported(
    sides: &Sides<'_>,
    control: &Client,
    changed: &Changed,
) -> Result<(), Error> {
    let target = &layout(sides, changed).target;
    let not_there = |what: String| {
        Err(Error::Since(Refusal::NotThere {
            table: target.name.clone(),
            what,
        }))
    };
    let tasks = record::tasks(control, &sides.before.key).await?;
    let own = tasks.iter().filter(|task| task.target_oid == target.oid);
    let imported: u64 = own.map(|task| task.rows).sum();
    let there = occupied::rows_there(control, sides.since.schema, target).await?;
    if there != Some(imported) {
        let there = there.map_or("it is hidden how many".to_owned(), |there| {
            there.to_string()
        });
        return not_there(format!(
            "{imported} row(s) were imported, and {there} are there"
        ));
    }
    match foreign_rows(sides, control, changed).await? {
        0 => Ok(()),
        others => not_there(format!("{others} row(s) there are not what was imported")),
    }
}

/// How many rows of a table are not among those that the older snapshot has, each counted as often as it is there.
async fn foreign_rows(
    sides: &Sides<'_>,
    control: &Client,
    changed: &Changed,
) -> Result<u64, Error> {
    let before = &sides.older.tables[changed.places[1]];
    let name = format!("pg_temp.cutover_was_{}", changed.places[1]);
    let columns = before.columns.iter();
    let columns: Vec<String> = columns.map(|column| quoted(&column.target.name)).collect();
    let own = occupied::own_rows(sides.since.schema, &before.target);
    changes::make(control, &name, &own, &columns).await?;
    let wanted = wanted(sides, changed, Side::Older, Which::All);
    stage::send(control, &name, wanted).await?;
    // As text, for not every type knows what is equal.
    let values = columns
        .iter()
        .map(|column| format!("{column}::text COLLATE \"C\""));
    let values = values.collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT count(*) FROM (SELECT {values} FROM {own} EXCEPT ALL SELECT {values} FROM {name}) AS others"
    );
    let counted = control.query_one(&sql, &[]).await;
    let counted = counted.map_err(refused("comparing rows with the older snapshot"))?;
    Ok(counted.get::<_, i64>(0).unsigned_abs())
}

/// Tables that go by their rows: proven to hold what was there, changed, and proven to have been changed by just that.
async fn by_rows(
    sides: &Sides<'_>,
    work: &Work<'_>,
    around: &[keys::Key],
    away: &mut Away,
    staged: &mut [Staged<'_>],
) -> Result<(), Error> {
    // Children before parents.
    let mut tables: Vec<Rows> = staged
        .iter()
        .rev()
        .filter_map(|staged| Rows::of(staged.changed, &sides.newer))
        .collect();
    let mut wanted: Vec<Expected> = Vec::new();
    for table in &tables {
        wanted.push(expected(work.client, table).await?);
    }
    let counted = work.rows(&mut tables, around, away).await?;
    for ((table, wanted), counted) in tables.iter().zip(wanted).zip(counted) {
        wanted.prove(table, counted)?;
        let mut staged = staged.iter_mut();
        let of_table = staged.find(|staged| layout(sides, staged.changed).target.oid == table.oid);
        of_table
            .expect("BUG: a table whose rows changed was staged")
            .counted = counted;
    }
    Ok(())
}

/// Puts on record what an import of the newer snapshot would have.
async fn put_on_record(
    sides: &Sides<'_>,
    control: &Client,
    staged: &[Staged<'_>],
) -> Result<Vec<Task>, Error> {
    let before = record::tasks(control, &sides.before.key).await?;
    let mut tasks = Vec::new();
    for (place, table) in sides.newer.tables.iter().enumerate() {
        let own = before
            .iter()
            .filter(|task| task.target_oid == table.target.oid);
        let (rows, bytes) = own.fold((0, 0), |(rows, bytes), task| {
            (rows + task.rows, bytes + task.bytes)
        });
        let staged = staged
            .iter()
            .find(|staged| staged.changed.places[0] == place);
        let (rows, bytes) = match staged {
            None => (rows, bytes),
            Some(staged) => match staged.changed.way {
                By::Anew(_) => (staged.newer.rows, staged.newer.bytes),
                By::Rows { .. } => (
                    (rows + staged.counted.inserted).saturating_sub(staged.counted.deleted),
                    (bytes + staged.newer.bytes).saturating_sub(staged.older.bytes),
                ),
            },
        };
        tasks.push(Task {
            number: tasks.len() as i32,
            table: table.source.name.clone(),
            target_oid: table.target.oid,
            span: Span::ALL,
            cursor: Cursor::Start,
            rows,
            aside: 0,
            bytes,
            done: true,
        });
    }
    let schema = sides.since.schema;
    book::hand_over(control, &sides.before, &sides.after, schema, &tasks).await?;
    for staged in staged {
        let uses = Uses {
            is_anew: matches!(staged.changed.way, By::Anew(_)),
            before: staged.older.uses.clone(),
            after: staged.newer.uses.clone(),
        };
        let table = &layout(sides, staged.changed).source.name;
        book::count_uses(control, &sides.after.key, table, &uses).await?;
    }
    Ok(tasks)
}

/// Refreshes materialized views where the section says so. Returns the statements.
async fn refresh(sides: &Sides<'_>, control: &Client) -> Result<Vec<String>, Error> {
    let views = sides.newer.materialized();
    let views = views.filter(|view| sides.since.transfer.refresh && view.owned);
    let statements = views.map(|view| format!("REFRESH MATERIALIZED VIEW {}", view.name));
    let statements: Vec<String> = statements.collect();
    for statement in &statements {
        let run = control.batch_execute(statement).await;
        run.map_err(refused(&format!("after the import: {statement}")))?;
    }
    Ok(statements)
}

/// Sets the sequences beyond what the newer snapshot ever gave out. Last of all: a sequence that is set stays so, whatever becomes of the
/// transaction; further than it had to be, it does no harm.
async fn align(
    sides: &Sides<'_>,
    control: &Client,
    changed: &[u32],
    copied: &mut Copied,
) -> Result<(), Error> {
    let layout = &sides.newer;
    let mut numbered = ended::numbered(sides.since.newer, layout).await?;
    // Forced row security is away of tables that changed; the sequences of the others are as they were.
    numbered
        .retain(|column| changed.contains(&column.table_oid) || !ended::is_hidden(layout, column));
    copied.sequences = ended::align(control, layout, &sides.search_path, &numbered).await?;
    let left = copied
        .sequences
        .iter()
        .filter(|sequence| !sequence.proven)
        .filter_map(|sequence| numbers::exhausted(layout, sequence, sides.since.transfer));
    copied.problems = left.collect();
    Ok(())
}
