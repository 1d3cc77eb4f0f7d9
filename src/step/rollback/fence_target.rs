//! R1+: nobody writes to PostgreSQL any more, so that what is read of it last is all there is. The rights of all others than the owner are
//! taken away, which outlasts this process and is on record before; then a lock on every moved table, held until R2+ has read the last of
//! it, proves that no writing transaction is open. Where somebody is left whom the lock alone keeps out, such as an application that owns its
//! tables, R3 lets go of it, once every instance has left PostgreSQL. PostgreSQL that does not answer is waited for so long and no longer.
//!
//! Not in here: the statements (`postgres::writers`), reading the last of it (R2+), and giving the rights back (`closing::grants`).

use std::time::Duration;

use tokio_postgres::Client;

use crate::format::counted;
use crate::postgres::within::{TimeLeft, within};
use crate::postgres::writers::{self, Drained, LOCK_ALONE, Revoked, TableName, TargetFence};
use crate::postgres::{self, Endpoint};
use crate::session::attempt::TARGET_CLOSED;
use crate::session::facts::{Imported, Snapshot};
use crate::session::grants::FormerGrants;
use crate::session::{Check, Outcome, Undo};
use crate::step::context::Context;
use crate::step::production;
use crate::step::salvage::{has_no_record, later_attempt};
use crate::step::target::{owner, runtime};
use crate::transfer::matching;

/// How long PostgreSQL is waited for in all, beside the drain.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// How long it may take to say that the lock was held until it is let go.
const LET_GO_LIMIT: Duration = Duration::from_secs(1);

/// The name of the check that fails where PostgreSQL could not be fenced, such as one that does not answer.
pub const NOT_FENCED: &str = "target_fenced";

/// The tables that an import may have filled.
const TABLES: &str = "
    SELECT c.relname::text, c.relispartition FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') ORDER BY 1";

/// R1+. `drain_ms`, in runbook time, is how long transactions that are open may take to end.
pub async fn fence(ctx: &Context, drain_ms: i64) -> Outcome {
    if !has_something_to_fence(ctx) {
        return Outcome::done("this session had switched nothing, so PostgreSQL is left as it is");
    }
    let drain = Duration::from_millis(ctx.real_ms(drain_ms).max(0).unsigned_abs());
    let mut fenced = Fenced::default();
    let ended = fenced.fence(ctx, drain).await;
    fenced.outcome(ended.err())
}

/// The lock that R1+ has taken, where it is still held.
pub async fn take(ctx: &Context) -> Option<TargetFence> {
    let held = ctx.shared.target_fence.lock().await.take();
    held.filter(TargetFence::is_held)
}

/// Lets go of the lock; whether it was held until now.
pub async fn let_go(ctx: &Context) -> bool {
    let Some(held) = take(ctx).await else {
        return false;
    };
    let asked = within(LET_GO_LIMIT, held.client().simple_query("SELECT 1"));
    asked.await.is_some_and(|answered| answered.is_ok())
}

/// The lock that R1+ has taken, or where an engine was started since, the same anew. Whoever writes has had their time in R1+: they are ended at
/// once.
///
/// # Errors
/// PostgreSQL does not answer within five seconds, or somebody keeps the lock away: in words. No lock is held then.
pub async fn ensure(ctx: &Context) -> Result<TargetFence, String> {
    if let Some(held) = take(ctx).await {
        return Ok(held);
    }
    let locking = async {
        let client = of_that_night(ctx).await?;
        let (tables, _) = moved_tables(ctx, &client).await?;
        let (lock, drained) = locked(ctx, &client, &tables, Duration::ZERO).await?;
        lock.ok_or_else(|| drained.still.join("; "))
    };
    let locked = within(ANSWER_LIMIT, locking).await;
    locked.unwrap_or_else(|| Err(no_answer()))
}

fn no_answer() -> String {
    let seconds = ANSWER_LIMIT.as_secs();
    format!("PostgreSQL did not answer within {seconds} s")
}

/// Before the switch nobody has been taken to PostgreSQL. Where the record of it cannot be read, or somebody has found the switch done, it is fenced
/// all the same.
fn has_something_to_fence(ctx: &Context) -> bool {
    let has_no_snapshot = matches!(ctx.session.fact::<Snapshot>(), Ok(None));
    ctx.session.switched_ms().is_some() && (!has_no_snapshot || has_no_record(&ctx.session))
}

/// How far it has come.
#[derive(Default)]
struct Fenced {
    /// How many tables were moved.
    tables: usize,
    /// Tables that were imported and are not found.
    lacks: Vec<String>,
    /// Whom the lock alone keeps out, in sentences.
    by_lock_alone: Vec<String>,
    /// Why nothing was revoked.
    not_on_record: Option<String>,
    /// Taking rights away has begun.
    is_revoking: bool,
    /// They were taken away.
    revoked: Option<Revoked>,
    /// Who was in the way of the lock.
    drained: Option<Drained>,
}

impl Fenced {
    /// The drain is given to who writes, not to a server that does not answer.
    async fn fence(&mut self, ctx: &Context, drain: Duration) -> Result<(), String> {
        let mut left = TimeLeft::new(ANSWER_LIMIT);
        let closed = left.within(self.close(ctx)).await;
        let (client, tables) = closed.unwrap_or_else(|| Err(no_answer()))?;
        left.add(drain);
        let locking = locked(ctx, &client, &tables, drain);
        let locked = left.within(locking).await;
        let (lock, drained) = locked.unwrap_or_else(|| Err(no_answer()))?;
        self.drained = Some(drained);
        if lock.is_some() {
            *ctx.shared.target_fence.lock().await = lock;
        }
        Ok(())
    }

    /// Looks at the target, and takes away what can be taken. Gives the connection and the moved tables.
    async fn close(&mut self, ctx: &Context) -> Result<(Client, Vec<TableName>), String> {
        let client = of_that_night(ctx).await?;
        let (tables, lacks) = moved_tables(ctx, &client).await?;
        (self.tables, self.lacks) = (tables.len(), lacks);
        let rights = writers::former(&client, &tables).await.map_err(said)?;
        let application = runtime(ctx).map_err(|outcome| outcome.summary)?;
        let told = writers::may_fence(&client, &tables, application.user()).await;
        let mut told = told.map_err(said)?;
        told.iter().for_each(|sentence| ctx.reporter.line(sentence));
        told.retain(|sentence| sentence.ends_with(LOCK_ALONE));
        self.by_lock_alone = told;
        self.revoke(ctx, &client, &rights).await?;
        Ok((client, tables))
    }

    /// Takes rights away once it is on record how they were. What is on record already is how they were: what is seen now of the same table
    /// may be what an engine has left that died amid this.
    async fn revoke(
        &mut self,
        ctx: &Context,
        client: &Client,
        rights: &[FormerGrants],
    ) -> Result<(), String> {
        let known = ctx.session.former_grants();
        let is_new = |table: &&FormerGrants| {
            let is_known = known.iter().any(|known| known.oid == table.oid);
            !is_known && !table.writes_of_others().is_empty()
        };
        let former: Vec<FormerGrants> = rights.iter().filter(is_new).cloned().collect();
        if !former.is_empty()
            && let Err(gone) = ctx.reporter.undo(Undo::TargetGrants { former }).await
        {
            self.not_on_record = Some(gone.to_string());
            return Ok(());
        }
        self.is_revoking = true;
        self.revoked = Some(writers::revoke(client, rights).await.map_err(said)?);
        Ok(())
    }

    /// What it comes to. `refused` is why it went no further.
    fn outcome(self, refused: Option<String>) -> Outcome {
        let is_locked = self.drained.as_ref().is_some_and(|d| d.still.is_empty());
        let tables = counted(self.tables as u64, "table");
        let mut summary = match (is_locked, &self.revoked) {
            (true, Some(_)) => format!(
                "nobody writes to PostgreSQL any more ({tables}); `cutover close` gives the rights back"
            ),
            (true, None) => format!(
                "nobody writes to PostgreSQL as long as the lock is held ({tables}); no right was taken away"
            ),
            (false, Some(_)) => format!(
                "the rights to write to PostgreSQL are taken away ({tables}; `cutover close` gives them back), and no lock is held: what is open may \
                 still be committed"
            ),
            (false, None) if self.is_revoking => "whether the rights to write to PostgreSQL were taken away is not known; how they were is on record, \
                 and `cutover close` gives them back"
                .to_owned(),
            (false, None) => "PostgreSQL is not fenced".to_owned(),
        };
        let ended = self.drained.iter().flat_map(|d| &d.terminated);
        let ended: Vec<&str> = ended.map(String::as_str).collect();
        if !ended.is_empty() {
            let n = counted(ended.len() as u64, "session");
            summary.push_str(&format!(
                "; {n} ended that still wrote: {}",
                ended.join(", ")
            ));
        }
        for sentence in &self.by_lock_alone {
            summary.push_str(&format!("; {sentence}"));
        }
        let outcome = match is_locked && self.outlasts_the_lock() {
            true => Outcome::done(summary).with_check(Check::new(
                TARGET_CLOSED,
                true,
                "the lock proves that no transaction that writes is open, and no other can begin",
            )),
            false => Outcome::done(summary),
        };
        let red = self.red(refused).into_iter();
        red.fold(outcome, Outcome::with_check)
    }

    /// Whether nobody is left whom the lock alone keeps out, so that nobody writes once it is let go.
    fn outlasts_the_lock(&self) -> bool {
        let are_revoked = self.revoked.as_ref().is_some_and(|r| r.still.is_empty());
        are_revoked && self.by_lock_alone.is_empty() && self.lacks.is_empty()
    }

    fn red(self, refused: Option<String>) -> Vec<Check> {
        let mut red = Vec::new();
        if let Some(why) = refused {
            let why = format!(
                "{why}. What is committed there from now on may stay there alone: R2+ brings what it can read, and `cutover salvage make` keeps the \
                 rest once PostgreSQL answers. The rollback goes on"
            );
            red.push(Check::new(NOT_FENCED, false, why));
        }
        if let Some(why) = self.not_on_record {
            let why = format!("no right was taken away, for it could not be put on record: {why}");
            red.push(Check::new("writes_revoked", false, why));
        }
        for why in self.revoked.into_iter().flat_map(|revoked| revoked.still) {
            red.push(Check::new("writes_revoked", false, why));
        }
        for who in self.drained.into_iter().flat_map(|drained| drained.still) {
            let why = format!("{who}, so the lock could not be taken: end it by hand");
            red.push(Check::new("writers_ended", false, why));
        }
        for table in self.lacks {
            let why = format!("{table}: who writes to it in PostgreSQL is not kept out");
            red.push(Check::new("tables_found", false, why));
        }
        red
    }
}

fn said(error: postgres::Error) -> String {
    error.to_string()
}

/// The owner's connection to the target, which is still that of the night, and of no later one: rows may be tried again until the session is closed.
async fn of_that_night(ctx: &Context) -> Result<Client, String> {
    if ctx.session.correction.is_some()
        && let Some(later) = later_attempt(&ctx.folder, &ctx.session)
    {
        return Err(format!(
            "session {later} was opened for the same target since, and who writes there now writes for it. Nothing was changed there"
        ));
    }
    let was = production::target_of(&ctx.session).map_err(|why| why.to_string())?;
    let client = endpoint(ctx)?.connect().await.map_err(said)?;
    let Some(was) = was else { return Ok(client) };
    let now = production::identified(&client).await.map_err(|error| {
        format!("whether `target.url` leads to the database of the night cannot be seen: {error}. Nothing was changed there")
    })?;
    match now == was {
        true => Ok(client),
        false => Err(format!(
            "`target.url` leads to another database ({now}) than that of the night ({was}). Nothing was changed there"
        )),
    }
}

fn endpoint(ctx: &Context) -> Result<Endpoint, String> {
    owner(ctx).map_err(|outcome| outcome.summary)
}

async fn locked(
    ctx: &Context,
    client: &Client,
    tables: &[TableName],
    drain: Duration,
) -> Result<(Option<TargetFence>, Drained), String> {
    let holder = endpoint(ctx)?.connect().await.map_err(said)?;
    let lock = writers::lock(holder, client, tables, drain).await;
    lock.map_err(said)
}

/// The tables that the import has filled, paired by its own rule for names, and those that are not found, each with why.
async fn moved_tables(
    ctx: &Context,
    client: &Client,
) -> Result<(Vec<TableName>, Vec<String>), String> {
    let imported = ctx.fact::<Imported>().map_err(|why| why.to_string())?;
    let Some(Imported(imported)) = imported else {
        return Err("no step has put on record which tables it imported".to_owned());
    };
    let schema = &ctx.runbook.target.schema;
    let rows = client.query(TABLES, &[schema]).await;
    let rows = rows.map_err(|error| {
        postgres::Error::of_statement("read which tables the schema has", &error).to_string()
    })?;
    let transfer = &ctx.runbook.transfer;
    let sources: Vec<&str> = imported.iter().map(|(table, _)| table.as_str()).collect();
    let is_meant = |name: &str| {
        let is_renamed = transfer.rename.values().any(|to| to == name);
        is_renamed || sources.iter().any(|s| s.eq_ignore_ascii_case(name))
    };
    let targets = rows.iter().filter_map(|row| {
        let (name, is_part): (&str, bool) = (row.get(0), row.get(1));
        (!is_part || is_meant(name)).then_some(name)
    });
    let targets: Vec<&str> = targets.collect();
    let pairs = matching::pair(&sources, &targets, |name| {
        transfer.renamed_table(name).map(str::to_owned)
    });
    let (mut tables, mut lacks) = (Vec::new(), Vec::new());
    for (source, pair) in sources.iter().zip(pairs) {
        match pair {
            Ok((target, _)) => tables.push((schema.clone(), target.to_owned())),
            Err(why) => lacks.push(format!("{}: {why}", crate::text::printable(source, 80))),
        }
    }
    Ok((tables, lacks))
}
