//! From one import to the next by what changed: PostgreSQL holds what an import of an older snapshot brought there, and has afterwards what an
//! import of a newer one would have brought. In one transaction: all of it, or nothing.
//!
//! Which rows changed is [`crate::delta`]'s to say. Whatever cannot be shown by the changed rows alone is a table anew, or a refusal that says
//! what is safe; never a guess.

mod apply;
mod book;
mod changes;
mod keys;
mod refusal;
mod stage;
mod told;
mod ways;
mod work;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::postgres::{Endpoint, Pinned};
use crate::runbook::transfer::Transfer;
use crate::sqlite::watch::Watch;
use crate::transfer::copy::record;
use crate::transfer::copy::{Copied, account, key, prepare, watch};
use crate::transfer::error::{is_passing, server_message};
use crate::transfer::layout::Layout;
use crate::transfer::plan::{preflight, read_layout};
use crate::transfer::session::{Target, application_path};
use crate::transfer::{Error, Progress};

pub use refusal::Refusal;

/// What was brought, in the shape of `copy --json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Brought {
    /// Tables of which changed rows were brought.
    pub tables: u64,
    /// Rows inserted.
    pub inserted: u64,
    /// Rows updated.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
    /// Tables that were brought whole, each with why.
    pub anew: Vec<(String, String)>,
}

/// The two snapshots and how they are converted.
#[derive(Debug, Clone, Copy)]
pub struct Since<'s> {
    /// What PostgreSQL holds.
    pub older: &'s Path,
    /// What it is to hold.
    pub newer: &'s Path,
    /// The target's schema.
    pub schema: &'s str,
    /// The section by which the older one was imported.
    pub transfer: &'s Transfer,
}

/// Both snapshots, watched and paired with the target.
struct Sides<'s> {
    since: Since<'s>,
    watches: [Watch; 2],
    newer: Arc<Layout>,
    older: Arc<Layout>,
    /// The record of the import that brought the older one.
    before: record::Import,
    /// What the record is to be.
    after: record::Import,
    search_path: String,
}

/// Brings what changed since the older snapshot. Called again after it ended, it counts both sides and reports that nothing was done.
///
/// # Errors
/// [`Error::Since`] says what stands in the way. Whatever the error, nothing was changed, unless it is [`Refusal::Unheard`].
pub async fn copy_since(
    since: Since<'_>,
    target: &Endpoint,
    progress: &(dyn Fn(Progress) + Sync),
    cancel: &CancellationToken,
) -> Result<Copied, Error> {
    let began = Instant::now();
    progress(Progress::Phase { phase: "prepare" });
    let watches = [
        watch(since.older, true).await?,
        watch(since.newer, true).await?,
    ];
    let target = Target {
        endpoint: target.clone(),
        schema: since.schema.to_owned(),
        application_name: format!("cutover import into {}", since.schema),
    };
    let control = target.connect().await?;
    let stop = control.cancel_token();
    let brought = tokio::select! {
        brought = bring(since, watches, &control, progress, cancel) => brought,
        () = cancel.cancelled() => {
            if let Err(error) = target.endpoint.cancel(&stop).await {
                tracing::warn!(%error, "what the server does could not be cancelled; its connection is dropped");
            }
            return Err(Error::Since(Refusal::Stopped));
        }
    }?;
    let copied = match brought {
        Standing::IsThere(copied) => copied,
        Standing::Ready(copied) => {
            commit(&control).await?;
            copied
        }
    };
    Ok(Copied {
        seconds: began.elapsed().as_secs_f64(),
        ..copied
    })
}

/// Where the target stands before the commit.
enum Standing {
    /// The import of the newer snapshot is on record.
    IsThere(Copied),
    /// Everything is in place and waits for the commit.
    Ready(Copied),
}

async fn commit(control: &Pinned) -> Result<(), Error> {
    // A transaction that is broken answers to COMMIT as if all were well, and has nothing done: the statement before it would fail.
    let committed = control.batch_execute("SELECT 1; COMMIT").await;
    committed.map_err(|error| match error.as_db_error() {
        Some(_) if !is_passing(&error) => refused("committing")(error),
        Some(_) | None => Error::Since(Refusal::Unheard(server_message(&error))),
    })
}

async fn bring(
    since: Since<'_>,
    watches: [Watch; 2],
    control: &Pinned,
    progress: &(dyn Fn(Progress) + Sync),
    cancel: &CancellationToken,
) -> Result<Standing, Error> {
    prepare::lock(control, since.schema).await?;
    let sides = match Sides::read(since, watches, control).await? {
        Ok(sides) => sides,
        Err(copied) => return Ok(Standing::IsThere(*copied)),
    };
    progress(Progress::Phase { phase: "compare" });
    let folder = tempfile::Builder::new()
        .prefix("cutover-delta-")
        .tempdir()
        .map_err(|error| Error::Since(Refusal::Compare(error.to_string())))?;
    let file = folder.path().join("delta.db");
    let delta = compare(&sides, &file, cancel).await?;
    let copied = work::run(&sides, control, &delta, &file, progress).await?;
    sides.unchanged()?;
    Ok(Standing::Ready(copied))
}

/// What both snapshots differ in, in the file `into`.
async fn compare(
    sides: &Sides<'_>,
    into: &Path,
    cancel: &CancellationToken,
) -> Result<crate::delta::Delta, Error> {
    let [older, newer] = [sides.since.older, sides.since.newer].map(Path::to_path_buf);
    let (into, stop): (PathBuf, _) = (into.to_path_buf(), cancel.clone());
    let comparing =
        tokio::task::spawn_blocking(move || crate::delta::rows(&older, &newer, &into, &stop));
    let compared = comparing.await.expect("BUG: comparing panicked");
    compared.map_err(|error| Error::Since(Refusal::Compare(error.to_string())))
}

impl<'s> Sides<'s> {
    /// Pairs both snapshots with the target and finds the import of the older one on record. Where that of the newer one is, nothing is to be
    /// done, and both sides are counted again.
    async fn read(
        since: Since<'s>,
        watches: [Watch; 2],
        control: &Pinned,
    ) -> Result<Result<Self, Box<Copied>>, Error> {
        let Since {
            older,
            newer,
            schema,
            transfer,
        } = since;
        let paired = read_layout(newer, control, schema, transfer).await?;
        let mut problems = preflight::missing(control, schema, &paired).await?;
        problems.extend(paired.problems.iter().cloned());
        if !problems.is_empty() {
            return Err(Error::Problems(problems));
        }
        let paired_before = read_layout(older, control, schema, transfer).await?;
        let [before, after] =
            [(&paired_before, &watches[0]), (&paired, &watches[1])].map(|(layout, watch)| {
                let content = watch.content();
                let content = content.expect("BUG: the content was asked for");
                let made_of = key::made_of(content, layout, transfer);
                record::Import {
                    key: key::of(&made_of, schema),
                    made_of,
                    prepared: true,
                    finished: true,
                }
            });
        let sides = Self {
            since,
            watches,
            newer: paired,
            older: paired_before,
            before,
            after,
            search_path: application_path(control, schema).await?,
        };
        if sides.is_there(control).await? {
            return Ok(Err(Box::new(sides.counted_again(control).await?)));
        }
        sides.may_go(control).await?;
        Ok(Ok(sides))
    }

    /// Whether the newer snapshot's import is on record; refuses where the older one's is not either.
    async fn is_there(&self, control: &Pinned) -> Result<bool, Error> {
        let schema = || self.since.schema.to_owned();
        let imports = if record::exists(control).await? {
            record::imports(control, self.since.schema).await?
        } else {
            Vec::new()
        };
        if imports.iter().any(|import| !import.finished) {
            return Err(Error::Since(Refusal::Unfinished { schema: schema() }));
        }
        let is_known = |key: &str| imports.iter().any(|import| import.key == key);
        if is_known(&self.before.key) {
            // Two files of the same content have nothing to bring, and the record stays what it is.
            return Ok(self.before.key == self.after.key);
        }
        if is_known(&self.after.key) {
            return Ok(true);
        }
        let Some(other) = imports.first() else {
            return Err(Error::Since(Refusal::NoImport { schema: schema() }));
        };
        let why = key::difference(&other.made_of, &self.before.made_of);
        Err(Error::Since(Refusal::OtherImport {
            schema: schema(),
            why: why.unwrap_or("it was another").to_owned(),
        }))
    }

    /// Counts both sides again: that the record is there says nothing of the rows.
    async fn counted_again(&self, control: &Pinned) -> Result<Copied, Error> {
        let key = &self.after.key;
        let tasks = record::tasks(&**control, key).await?;
        let account = account::take(
            control,
            self.since.newer,
            self.since.schema,
            &self.newer,
            key,
            &tasks,
        )
        .await?;
        let mut copied = told::told(control, self, &tasks).await?;
        copied.was_done = true;
        copied.account = account;
        Ok(copied)
    }

    /// What can be known to stand in the way before any row is looked at.
    async fn may_go(&self, control: &Pinned) -> Result<(), Error> {
        let refuse = |refusal| Err(Error::Since(refusal));
        if self.before.made_of.tables != self.after.made_of.tables {
            return refuse(Refusal::Tables);
        }
        if !self.since.transfer.after_import.is_empty() {
            return refuse(Refusal::AfterImport);
        }
        let row = control
            .query_one(
                "SELECT greatest((SELECT count(*) FROM cutover.quarantine WHERE import = $1),
                                 (SELECT coalesce(sum(aside), 0)::bigint FROM cutover.task WHERE import = $1))",
                &[&self.before.key],
            )
            .await
            .map_err(refused("looking for rows that were put aside"))?;
        match row.get::<_, i64>(0).unsigned_abs() {
            0 => Ok(()),
            count => refuse(Refusal::PutAside { count }),
        }
    }

    /// Whether both snapshots are still the files that were read.
    fn unchanged(&self) -> Result<(), Error> {
        let paths = [self.since.older, self.since.newer];
        for (watch, path) in self.watches.iter().zip(paths) {
            let path = path.to_path_buf();
            match watch.change() {
                Ok(None) => {}
                Ok(Some(what)) => {
                    return Err(Error::SourceChanged {
                        path,
                        what,
                        state: "Neither database was changed: --since takes two snapshots that nobody writes to",
                    });
                }
                Err(source) => return Err(Error::Source { path, source }),
            }
        }
        Ok(())
    }
}

/// Wraps PostgreSQL's answer: a connection that was lost, or rows that it does not take.
pub(in crate::transfer) fn refused(doing: &str) -> impl FnOnce(tokio_postgres::Error) -> Error {
    let doing = doing.to_owned();
    move |source| {
        if source.as_db_error().is_none() || is_passing(&source) {
            return Error::Server { doing, source };
        }
        Error::Since(Refusal::Refused {
            doing,
            why: server_message(&source),
        })
    }
}
