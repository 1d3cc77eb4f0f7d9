//! Plays a case: each of its steps, what the target may then have on record, and the end.

use super::case::{Case, Section, Step, Stop};
use super::{End, Place, session_name};
use crate::support;
use cutover::postgres::Endpoint;
use cutover::transfer::copy::{Copied, Options, copy};
use cutover::transfer::occupied::Discard;
use cutover::transfer::{Error, Progress};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

/// What may be on record in the target.
#[derive(Debug, Clone, PartialEq)]
enum Record {
    /// Nothing: the target is as it was made.
    Nothing,
    /// An import with this section, of the source after so many writes.
    Of(Section, u32),
}

pub(super) struct Player<'p> {
    pub(super) case: &'p Case,
    pub(super) place: &'p Place,
    /// For whoever kills the server's processes.
    pub(super) superuser: Option<String>,
}

impl Player<'_> {
    pub(super) async fn play(&self) -> Result<End, String> {
        let (case, place) = (self.case, self.place);
        support::sqlite(&place.file(), &case.source());
        let client = place.client().await;
        for schema in [&place.schema, &place.clean] {
            client
                .batch_execute(&case.target(schema))
                .await
                .unwrap_or_else(|error| panic!("{error:?}"));
        }
        let mut records = vec![Record::Nothing];
        let (mut writes, mut may_have_ended) = (0, false);
        for step in &case.steps {
            if let Some(sql) = &step.write {
                let source = rusqlite::Connection::open(place.file()).expect("the file");
                let sql = format!("PRAGMA foreign_keys = OFF; {sql}");
                source.execute_batch(&sql).expect("the application's write");
                writes += 1;
            }
            may_have_ended |= self.step(step, writes, &mut records).await?;
        }
        let mine = Record::Of(case.last.clone(), writes);
        let mut section = case.last.clone();
        let must_go_on = self.must_go_on(&records, &mine);
        let ended = self
            .to_the_end(&place.schema, &mut section, must_go_on)
            .await?;
        let clean = self.to_the_end(&place.clean, &mut section, false).await?;
        match (ended, clean) {
            (Ok(copied), Ok(_)) => {
                if !copied.account.iter().all(|table| table.adds_up()) {
                    return Err(format!("the account does not add up: {:?}", copied.account));
                }
                // What an import that has ended brought in stays in a table that moves no more.
                let left_out = section.exclude.as_deref().filter(|_| may_have_ended);
                let here = place.reading(&place.schema, left_out).await;
                let there = place.reading(&place.clean, left_out).await;
                if here == there {
                    Ok(End::Loaded)
                } else {
                    Err(format!("not as a clean run:\n{here}\nbut\n{there}"))
                }
            }
            (Err(_), Err(_)) => Ok(End::Failed),
            // Rows of a table that moves no more refer to what SQLite has not any more.
            (Err(Error::Problems(problems)), Ok(_))
                if problems
                    .iter()
                    .all(|problem| problem.reason.contains("is not planned")) =>
            {
                Ok(End::Failed)
            }
            // Parents that an import that has ended brought in are still there for children; a clean run has none.
            (Ok(_), Err(Error::Rebuild { .. })) if may_have_ended && section.exclude.is_some() => {
                Ok(End::Failed)
            }
            (Err(error), Ok(_)) => Err(format!("a clean run ends, and this one: {error}")),
            (Ok(_), Err(error)) => Err(format!("a clean run fails ({error}), and this one ended")),
        }
    }

    /// Whether this command may not be refused, whatever stopped the ones before.
    fn must_go_on(&self, records: &[Record], mine: &Record) -> bool {
        let was_empty = self.case.tables.iter().all(|table| table.held == 0);
        records.iter().all(|record| match record {
            Record::Nothing => was_empty,
            Record::Of(..) => record == mine,
        })
    }

    /// One command that may be stopped; whether it may have come to its end all the same.
    async fn step(
        &self,
        step: &Step,
        writes: u32,
        records: &mut Vec<Record>,
    ) -> Result<bool, String> {
        let place = self.place;
        let mine = Record::Of(step.section.clone(), writes);
        if let Stop::Kill(after_ms) = step.stop {
            self.kill_after(&step.section, Duration::from_millis(after_ms))
                .await;
            // It may have been too early for a record, or the command was refused.
            records.push(mine);
            return Ok(true);
        }
        let must_go_on = self.must_go_on(records, &mine);
        let command = async || self.stopped(step).await;
        let ended = self.judged(&place.schema, must_go_on, command).await?;
        if is_refusal(&ended) {
            return Ok(false);
        }
        *records = vec![mine];
        Ok(ended.is_ok())
    }

    /// How a command ends. One that is refused has touched nothing, and none may be that `must_go_on`.
    async fn judged(
        &self,
        schema: &str,
        must_go_on: bool,
        command: impl AsyncFn() -> Result<Copied, Error>,
    ) -> Result<Result<Copied, Error>, String> {
        loop {
            // What a killed command has sent is still done on the server, maybe after the reading: that is not this one's doing.
            let is_still_written = self.place.is_still_written(schema).await;
            let before = self.place.reading(schema, None).await;
            let ended = command().await;
            if !is_refusal(&ended) {
                return Ok(ended);
            }
            if must_go_on {
                return Err(format!("the same command was refused: {ended:?}"));
            }
            if !is_still_written {
                if schema == self.place.schema {
                    self.untouched(before, &ended).await?;
                }
                return Ok(ended);
            }
            support::until("the end of a killed command's sessions", async || {
                !self.place.is_still_written(schema).await
            })
            .await;
        }
    }

    async fn untouched<T: std::fmt::Debug>(&self, before: String, ended: &T) -> Result<(), String> {
        let after = self.place.reading(&self.place.schema, None).await;
        if after == before {
            Ok(())
        } else {
            Err(format!(
                "refused ({ended:?}), and touched:\n{before}\nis now\n{after}"
            ))
        }
    }

    /// The command in this process, until the stop.
    async fn stopped(&self, step: &Step) -> Result<Copied, Error> {
        let cancel = CancellationToken::new();
        let batches = AtomicU32::new(0);
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let progress = |report: Progress| {
            if !matches!(report, Progress::Rows { .. }) {
                return;
            }
            let batch = batches.fetch_add(1, Ordering::Relaxed) + 1;
            match step.stop {
                Stop::Cancel(after) if batch == after => cancel.cancel(),
                Stop::Terminate(after) | Stop::Crash(after) if batch == after => {
                    let _ = sender.send(());
                }
                Stop::Values
                | Stop::Cancel(_)
                | Stop::Kill(_)
                | Stop::Terminate(_)
                | Stop::Crash(_) => {}
            }
        };
        let witness = Mutex::new(None);
        let disturbing = async {
            if receiver.recv().await.is_some() {
                let crashed = self.disturb().await;
                *witness.lock().expect("a connection") = crashed;
            }
            std::future::pending::<()>().await;
        };
        let importing = self.copy(
            &self.place.schema,
            &step.section,
            Discard::new(),
            &progress,
            &cancel,
        );
        let ended = tokio::select! {
            ended = importing => ended,
            () = disturbing => unreachable!("it never ends"),
        };
        // The import may have ended before the server noticed: what is read until then may be of the time before the crash.
        if let Some((witness, process)) = witness.into_inner().expect("a connection") {
            let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)";
            support::until("the server loses its processes", async || {
                // The process may have ended by itself before it was killed, and then nothing comes of it.
                let lives = witness.query_one(sql, &[&process]).await;
                witness.is_closed() || lives.is_ok_and(|row| !row.get::<_, bool>(0))
            })
            .await;
            *self.place.reader.lock().await = None;
        }
        ended
    }

    /// Ends the import's connections on the server, or kills one of the server's processes, which ends them all: then with a connection
    /// that sees it, and the process.
    async fn disturb(&self) -> Option<(Client, i32)> {
        let name = session_name(&self.place.schema);
        let Some(superuser) = &self.superuser else {
            let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                             WHERE application_name = $1 AND datname = current_database()";
            let ended = self.place.client().await.execute(terminate, &[&name]).await;
            ended.expect("the connections' end");
            return None;
        };
        let endpoint = Endpoint::parse(superuser).expect("a URL");
        let client = endpoint.connect().await.expect("a connection");
        let processes = "SELECT pid FROM pg_stat_activity WHERE application_name = $1 LIMIT 1";
        let found = client.query(processes, &[&name]).await;
        let process: i32 = found.expect("the server's processes").first()?.get(0);
        let killed = rustix::process::kill_process(
            rustix::process::Pid::from_raw(process)?,
            rustix::process::Signal::KILL,
        );
        // The import may have come to its end meanwhile.
        killed.ok().map(|()| (client, process))
    }

    /// The command as a process of its own, killed after a time, or ended by then.
    async fn kill_after(&self, section: &Section, after: Duration) {
        let yaml = self.place.folder.path().join("transfer.yaml");
        std::fs::write(&yaml, section.yaml()).expect("a section");
        let mut command = tokio::process::Command::new(support::cutover());
        command
            .args(["copy", "--json", "--batch-rows", "7", "--from"])
            .arg(self.place.file())
            .args(["--to", &self.place.url, "--schema", &self.place.schema])
            .arg("--transfer")
            .arg(&yaml)
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("the binary");
        if tokio::time::timeout(after, child.wait()).await.is_err() {
            child.kill().await.expect("kill -9");
        }
    }

    /// The command until it ends, with what its refusals ask for.
    async fn to_the_end(
        &self,
        schema: &str,
        section: &mut Section,
        must_go_on: bool,
    ) -> Result<Result<Copied, Error>, String> {
        let mut discard = Discard::new();
        for _ in 0..4 {
            let cancel = CancellationToken::new();
            let command = async || {
                let discard = discard.clone();
                self.copy(schema, section, discard, &|_| {}, &cancel).await
            };
            let ended = self.judged(schema, must_go_on, command).await?;
            if !is_refusal(&ended) {
                return Ok(ended);
            }
            match ended {
                Err(Error::Discard(against)) => {
                    discard = against
                        .into_iter()
                        .filter_map(|table| table.found)
                        .map(|found| (found.table, found.lacking.unwrap_or_default()))
                        .collect();
                }
                // Done as the message says; where the rows are copied to is nobody's business here.
                Err(Error::PutAside { .. }) => {
                    let done = "DELETE FROM cutover.quarantine q USING cutover.import i WHERE i.key = q.import AND i.target_schema = $1";
                    let client = self.place.client().await;
                    client.execute(done, &[&schema]).await.expect("they go");
                }
                _ => section.replace = true,
            }
        }
        Err("refused whatever was said".to_owned())
    }

    async fn copy(
        &self,
        schema: &str,
        section: &Section,
        discard: Discard,
        progress: &(dyn Fn(Progress) + Sync),
        cancel: &CancellationToken,
    ) -> Result<Copied, Error> {
        let yaml = section.yaml();
        let transfer = cutover::runbook::parse_transfer("transfer.yaml", &yaml)
            .unwrap_or_else(|problems| panic!("{problems:?}: {yaml}"));
        let options = Options {
            batch_rows: 7,
            discard,
            ..Options::default()
        };
        let file: &Path = &self.place.file();
        let endpoint = &self.place.endpoint;
        copy(
            file, endpoint, schema, &transfer, &options, progress, cancel,
        )
        .await
    }
}

/// Whether the command was refused before it did anything.
fn is_refusal(ended: &Result<Copied, Error>) -> bool {
    match ended {
        Err(Error::OtherImport { .. } | Error::Discard(_) | Error::PutAside { .. }) => true,
        Err(Error::Problems(problems)) => problems
            .iter()
            .any(|problem| problem.policy.as_deref() == Some("target_rows: replace")),
        _ => false,
    }
}
