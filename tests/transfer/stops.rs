//! The loader's promise as a property: whatever stopped it, and whatever was changed in between, the end is that of a run that nothing
//! had stopped, or a refusal that left the target as it was. The same command after a stop is never refused.
//!
//! Both ends are compared by this test's own readings (`::text`), definitions included. What a case is made of is in `stops/case.rs`.

mod case;
mod player;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use cutover::demo::cluster::{self, Cluster};
use cutover::postgres::Endpoint;
use futures_util::StreamExt;
use tokio::sync::{MappedMutexGuard, MutexGuard};
use tokio_postgres::Client;

use crate::support::{self, Seeds, TestDatabase};
use case::Case;
use player::Player;

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
