//! The loader's promise as a property: whatever stopped it, and whatever was changed in between, the end is that of a run that nothing
//! had stopped, or a refusal that left the target as it was. The same command after a stop is never refused.
//!
//! Both ends are compared by this test's own readings (`::text`), definitions included. What a case is made of is in `stops/case.rs`.

mod case;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cutover::demo::cluster::{self, Cluster};
use cutover::postgres::Endpoint;
use cutover::transfer::copy::{Copied, Options, copy};
use cutover::transfer::occupied::Discard;
use cutover::transfer::{Error, Progress};
use futures_util::StreamExt;
use tokio::sync::{MappedMutexGuard, MutexGuard};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::support::{self, Seeds, TestDatabase};
use case::{Case, Section, Step, Stop};

/// Seeds that failed once; each is played before anything new.
const FAILED_ONCE: &[u64] = &[258];
/// Cases that are played at the same time.
const PLAYERS: usize = 2;

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Both runs loaded everything.
    Loaded,
    /// Neither could: the values do not fit.
    Failed,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_that_of_a_run_that_nothing_stopped_1_of_4() {
    every_end_is_that_of_a_clean_run("loader-1", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_that_of_a_run_that_nothing_stopped_2_of_4() {
    every_end_is_that_of_a_clean_run("loader-2", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_that_of_a_run_that_nothing_stopped_3_of_4() {
    every_end_is_that_of_a_clean_run("loader-3", 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_that_of_a_run_that_nothing_stopped_4_of_4() {
    every_end_is_that_of_a_clean_run("loader-4", 4).await;
}

/// A quarter of the seeds: 60 in a test, 3,000 in a soak.
async fn every_end_is_that_of_a_clean_run(name: &'static str, part: u64) {
    let mut seeds = Seeds::of(name, 60, 3_000).part(part, 4);
    let database = support::database().await;
    let mut loaded = 0;
    let mut failed_once = FAILED_ONCE
        .iter()
        .copied()
        .filter(|seed| seed % 4 == part % 4);
    let next = || failed_once.next().or_else(|| seeds.next());
    let mut plays = futures_util::stream::iter(std::iter::from_fn(next))
        .map(async |seed| (seed, play_seed(seed, &database.url).await))
        .buffer_unordered(PLAYERS);
    while let Some((seed, end)) = plays.next().await {
        match end {
            Ok(end) => loaded += u64::from(end == End::Loaded),
            Err(why) => fail(seed, why, &database).await,
        }
    }
    drop(plays);
    println!("{seeds}; {loaded} loaded everything");
    say_enough(loaded, seeds.played());
}

/// More than half of all cases must load everything. A quarter is too few to tell: whoever ends last judges all of them.
fn say_enough(loaded: u64, played: u64) {
    static ALL: Mutex<(u64, u64)> = Mutex::new((0, 0));
    let mut all = ALL.lock().expect("nobody failed with it");
    *all = (all.0 + loaded, all.1 + played);
    let (loaded, played) = *all;
    assert!(
        played < 60 || loaded * 2 > played,
        "of {played} cases only {loaded} say anything"
    );
}

/// The server loses all its processes in the middle, as in a crash, and recovers.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_between_changes_nothing() {
    let mut options = cluster::Options::new(support::cutover());
    // As a server's default is: the record of a command that has begun outlives the processes.
    options
        .settings
        .push(("synchronous_commit".to_owned(), "on".to_owned()));
    let cluster = Cluster::start(options).expect("a server");
    cluster
        .create_database("stops")
        .await
        .expect("a fresh database");
    let mut seeds = Seeds::of("loader-crash", 4, 100);
    for seed in seeds.by_ref() {
        let place = Place::new(&cluster.url("stops"), &format!("crash_{seed}"));
        let case = Case::new(seed, true);
        let player = Player {
            case: &case,
            place: &place,
            superuser: Some(cluster.superuser_url("stops")),
        };
        if let Err(why) = player.play().await {
            panic!("CUTOVER_SEED={seed}: {why}\n{case:#?}")
        }
    }
    println!("{seeds}");
}

async fn play_seed(seed: u64, url: &str) -> Result<End, String> {
    let case = Case::new(seed, false);
    play_case(&case, url).await
}

async fn play_case(case: &Case, url: &str) -> Result<End, String> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!("case_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let place = Place::new(url, &name);
    let player = Player {
        case,
        place: &place,
        superuser: None,
    };
    let end = player.play().await;
    let gone = format!("DROP SCHEMA {name}, {name}_clean CASCADE");
    let client = place.client().await;
    client.batch_execute(&gone).await.expect("room for others");
    end
}

/// Makes the case simpler as long as it fails, then says so.
async fn fail(seed: u64, mut why: String, database: &TestDatabase) -> ! {
    let mut case = Case::new(seed, false);
    'simpler: loop {
        for simpler in case.simpler() {
            if let Err(reason) = play_case(&simpler, &database.url).await {
                (case, why) = (simpler, reason);
                continue 'simpler;
            }
        }
        break;
    }
    panic!(
        "CUTOVER_SEED={seed}: {why}\n{case:#?}\nSQLite:\n{}\nPostgreSQL:\n{}",
        case.source(),
        case.target("s")
    )
}

/// Where a case is played: a file, and two schemas of one database.
struct Place {
    folder: tempfile::TempDir,
    endpoint: Endpoint,
    url: String,
    /// For the runs that are stopped.
    schema: String,
    /// For the one that is not.
    clean: String,
    /// The connection over which this test reads.
    reader: tokio::sync::Mutex<Option<Client>>,
}

impl Place {
    fn new(url: &str, name: &str) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            endpoint: Endpoint::parse(url).expect("a URL"),
            url: url.to_owned(),
            schema: name.to_owned(),
            clean: format!("{name}_clean"),
            reader: tokio::sync::Mutex::default(),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }

    /// A connection; a server that has just died is waited for.
    async fn client(&self) -> Client {
        let mut client = None;
        support::until("the server answers", async || {
            client = self.endpoint.connect().await.ok();
            client.is_some()
        })
        .await;
        client.expect("a connection")
    }

    /// Rows and definitions of a schema, in words that do not name it; without the rows of the table `left_out`.
    async fn reading(&self, schema: &str, left_out: Option<&str>) -> String {
        let reader = self.reader().await;
        Self::read(&reader, schema, left_out).await
    }

    async fn reader(&self) -> MappedMutexGuard<'_, Client> {
        let mut kept = self.reader.lock().await;
        if kept.as_ref().is_none_or(Client::is_closed) {
            *kept = Some(self.client().await);
        }
        MutexGuard::map(kept, |kept| kept.as_mut().expect("a connection"))
    }

    /// Whether sessions of a command for this schema are still there, as a process that was killed leaves them for a moment.
    async fn is_still_written(&self, schema: &str) -> bool {
        let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database())";
        let client = self.reader().await;
        let left = client.query_one(sql, &[&session_name(schema)]).await;
        left.expect("an answer").get(0)
    }

    async fn read(client: &Client, schema: &str, left_out: Option<&str>) -> String {
        let tables = client
            .query(
                "SELECT c.relname::text FROM pg_class c WHERE c.relnamespace = $1::text::regnamespace AND c.relkind = 'r'
                 ORDER BY c.relname COLLATE \"C\"",
                &[&schema],
            )
            .await
            .expect("the tables");
        let mut reading = String::new();
        for table in tables {
            let table: &str = table.get(0);
            if left_out == Some(table) {
                continue;
            }
            let sql = format!(
                "SELECT coalesce(string_agg(whole::text, E'\n' ORDER BY whole::text COLLATE \"C\"), '')
                 FROM ONLY {schema}.\"{table}\" AS whole"
            );
            let rows = client.query_one(&sql, &[]).await.expect("the rows");
            reading.push_str(&format!("== {table}\n{}\n", rows.get::<_, &str>(0)));
        }
        let definitions = client
            .query_one(DEFINITIONS, &[&schema])
            .await
            .expect("the definitions");
        reading.push_str(definitions.get(0));
        reading.replace(&format!("{schema}."), "")
    }
}

/// What the sessions call themselves that import into a schema.
fn session_name(schema: &str) -> String {
    format!("cutover import into {schema}")
}

const DEFINITIONS: &str = "
SELECT coalesce(string_agg(line, E'\n' ORDER BY line COLLATE \"C\"), '') FROM (
  SELECT pg_get_indexdef(i.indexrelid) || ' ' || i.indisvalid AS line
  FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = $1::text::regnamespace
  UNION ALL
  SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) || ' ' || convalidated
  FROM pg_constraint WHERE connamespace = $1::text::regnamespace
  UNION ALL
  SELECT tgrelid::regclass || ' ' || tgname || ' ' || tgenabled::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
  WHERE NOT tgisinternal AND c.relnamespace = $1::text::regnamespace) AS lines";

/// What may be on record in the target.
#[derive(Debug, Clone, PartialEq)]
enum Record {
    /// Nothing: the target is as it was made.
    Nothing,
    /// An import with this section, of the source after so many writes.
    Of(Section, u32),
}

struct Player<'p> {
    case: &'p Case,
    place: &'p Place,
    /// For whoever kills the server's processes.
    superuser: Option<String>,
}

impl Player<'_> {
    async fn play(&self) -> Result<End, String> {
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
