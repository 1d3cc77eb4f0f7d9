//! The users of the sandbox: requests all the time, and a list of the writes that were acknowledged.
//!
//! Like a load balancer it sends to the instances that say they are ready, and to all where none does. Not in here: judging;
//! whether a write survived is for others to find out from the list.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response, StatusCode};
use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::app::{INSTANCE_HEADER, PROVIDER_HEADER};
use super::layout::Layout;
use super::sample::guid;
use crate::private_file;

/// Requests under way at most; beyond that users give up before they begin.
const MOST_UNDER_WAY: usize = 256;
/// How long a user waits.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the balancer asks the instances.
const HEALTH_INTERVAL: Duration = Duration::from_millis(500);
const HEALTH_PATIENCE: Duration = Duration::from_secs(1);
/// How often requests are dealt out.
const TICK: Duration = Duration::from_millis(20);
/// Slugs that readers know.
const KNOWN_SLUGS: u32 = 500;

/// Who asks what of whom.
pub(super) struct Users {
    /// Requests per second of all of them together.
    pub(super) rate: u32,
    pub(super) seed: u64,
    /// Names and base URLs.
    pub(super) backends: Vec<(String, String)>,
}

/// What became of the requests so far.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Counts {
    /// Reads answered with success.
    reads: u64,
    /// Writes answered with success.
    acknowledged: u64,
    /// Writes answered with success, but with another tool than the one sent in: nothing was acknowledged.
    mistaken: u64,
    /// Writes refused because of maintenance.
    refused_in_maintenance: u64,
    /// Writes not sent because the last answer said to come back later.
    held_back: u64,
    /// Answers by status, refusals in maintenance aside.
    by_status: BTreeMap<u16, u64>,
    /// Requests without an answer.
    unanswered: u64,
    /// Requests that were never sent because too many were under way.
    given_up: u64,
}

/// An HTTP client as the users have it.
pub(super) fn client() -> reqwest::Result<Client> {
    Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .connect_timeout(HEALTH_PATIENCE)
        .pool_max_idle_per_host(16)
        .build()
}

/// Whether the instance at this URL says that it is ready.
pub(super) async fn is_ready(client: &Client, url: &str) -> bool {
    let answer = client
        .get(format!("{url}/ready"))
        .timeout(HEALTH_PATIENCE)
        .send()
        .await;
    answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
}

struct Backend {
    url: String,
    ready: AtomicBool,
}

struct Street {
    client: Client,
    backends: Vec<Backend>,
    turn: AtomicUsize,
    slugs: Vec<String>,
    counts: Mutex<Counts>,
    acknowledged: Mutex<File>,
    under_way: Semaphore,
    /// Whether the last write was told to come back later.
    asked_to_wait: AtomicBool,
}

/// Users at work, until the token given at the start is cancelled.
pub(super) struct Traffic {
    street: Arc<Street>,
}

impl Traffic {
    pub(super) fn start(
        client: Client,
        users: Users,
        layout: &Layout,
        stop: CancellationToken,
    ) -> std::io::Result<Self> {
        let backend = |(_, url)| Backend {
            url,
            ready: AtomicBool::new(true),
        };
        let street = Arc::new(Street {
            client,
            backends: users.backends.into_iter().map(backend).collect(),
            turn: AtomicUsize::new(0),
            slugs: known_slugs(layout).map_err(std::io::Error::other)?,
            counts: Mutex::default(),
            acknowledged: Mutex::new(
                File::options()
                    .append(true)
                    .create(true)
                    .open(layout.acknowledged())?,
            ),
            under_way: Semaphore::new(MOST_UNDER_WAY),
            asked_to_wait: AtomicBool::new(false),
        });
        let rng = wishes(users.seed);
        tokio::spawn(
            stop.clone()
                .run_until_cancelled_owned(balance(street.clone())),
        );
        tokio::spawn(
            stop.clone()
                .run_until_cancelled_owned(deal(street.clone(), users.rate, rng)),
        );
        let summary = layout.dir.join("traffic/summary.json");
        let reported = street.clone();
        tokio::spawn(stop.run_until_cancelled_owned(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let _ = private_file::write(&summary, reported.counts().to_string().as_bytes());
            }
        }));
        Ok(Self { street })
    }

    /// What became of the requests so far.
    pub(super) fn counts(&self) -> Value {
        self.street.counts()
    }
}

fn known_slugs(layout: &Layout) -> rusqlite::Result<Vec<String>> {
    let connection = Connection::open(layout.live())?;
    let mut statement =
        connection.prepare(r#"SELECT "Slug" FROM "ToolContents" ORDER BY "Id" LIMIT ?1"#)?;
    statement
        .query_map([KNOWN_SLUGS], |row| row.get(0))?
        .collect()
}

/// Keeps in mind which instances are ready.
async fn balance(street: Arc<Street>) {
    loop {
        let asks = street.backends.iter().map(async |backend| {
            backend.ready.store(
                is_ready(&street.client, &backend.url).await,
                Ordering::Relaxed,
            );
        });
        futures_util::future::join_all(asks).await;
        tokio::time::sleep(HEALTH_INTERVAL).await;
    }
}

/// Deals requests out at an even pace.
async fn deal(street: Arc<Street>, rate: u32, mut rng: StdRng) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut due = 0.0;
    loop {
        ticks.tick().await;
        due += f64::from(rate) * TICK.as_secs_f64();
        while due >= 1.0 {
            due -= 1.0;
            let asked_to_wait = street.asked_to_wait.load(Ordering::Relaxed);
            let wish = draw(&mut rng, &street.slugs, asked_to_wait);
            tokio::spawn(street.clone().fulfil(wish));
        }
    }
}

/// What a user wants.
enum Wish {
    Page(u32),
    Tool(String),
    Publish {
        id: String,
        slug: String,
        body: Value,
    },
    /// A write that its user keeps for later.
    Later,
}

/// What users wish for, by the seed of the sandbox. Not the stream that the data was drawn from: the two would meet, and a user
/// would send in the id of a tool that is there.
fn wishes(seed: u64) -> StdRng {
    StdRng::seed_from_u64(!seed)
}

/// One write in ten; half of the rest are pages of the list.
fn draw(rng: &mut StdRng, slugs: &[String], asked_to_wait: bool) -> Wish {
    let dice = rng.random_range(0..20_u32);
    if dice < 2 {
        return publication(rng, asked_to_wait);
    }
    match dice < 11 || slugs.is_empty() {
        true => Wish::Page(rng.random_range(1..=30)),
        false => Wish::Tool(slugs[rng.random_range(0..slugs.len())].clone()),
    }
}

fn publication(rng: &mut StdRng, asked_to_wait: bool) -> Wish {
    // Told to come back later, users mostly do; one in four tries all the same, and so finds out when it is over.
    let (id, keen) = (guid(rng.random()), rng.random_ratio(1, 4));
    if asked_to_wait && !keen {
        return Wish::Later;
    }
    let slug = format!("community-{id}");
    let price = format!(
        "{}.{:02}",
        rng.random_range(0..200_u32),
        rng.random_range(0..100_u32)
    );
    let body = json!({
        "externalId": id,
        "title": format!("Community Tool {}", rng.random_range(1..10_000_u32)),
        "slug": slug,
        "body": "Sent in by a user.",
        "price": price,
        "isPublished": true,
    });
    Wish::Publish { id, slug, body }
}

impl Street {
    async fn fulfil(self: Arc<Self>, wish: Wish) {
        let Ok(_permit) = self.under_way.try_acquire() else {
            return self.count(|counts| counts.given_up += 1);
        };
        match wish {
            Wish::Later => self.count(|counts| counts.held_back += 1),
            Wish::Page(page) => self.read(&format!("/tools?page={page}&size=20")).await,
            Wish::Tool(slug) => self.read(&format!("/tools/by-slug/{slug}")).await,
            Wish::Publish { id, slug, body } => self.publish(&id, &slug, &body).await,
        }
    }

    async fn read(&self, path: &str) {
        let answer = self
            .send(|url| self.client.get(format!("{url}{path}")))
            .await;
        let Some(answer) = answer else { return };
        let status = answer.status();
        // Read to the end, as a browser does.
        let whole = answer.bytes().await.is_ok();
        self.count(|counts| {
            *counts.by_status.entry(status.as_u16()).or_default() += 1;
            counts.reads += u64::from(status.is_success() && whole);
        });
    }

    async fn publish(&self, id: &str, slug: &str, body: &Value) {
        let answer = self
            .send(|url| self.client.post(format!("{url}/tools")).json(body))
            .await;
        let Some(answer) = answer else { return };
        let (status, headers) = (answer.status(), answer.headers().clone());
        if status == StatusCode::SERVICE_UNAVAILABLE && headers.contains_key(RETRY_AFTER) {
            self.asked_to_wait.store(true, Ordering::Relaxed);
            return self.count(|counts| counts.refused_in_maintenance += 1);
        }
        self.asked_to_wait.store(false, Ordering::Relaxed);
        self.count(|counts| *counts.by_status.entry(status.as_u16()).or_default() += 1);
        let stored = answer.json::<Value>().await;
        if let (true, Ok(stored)) = (status.is_success(), stored) {
            if stored["slug"] != *slug {
                return self.count(|counts| counts.mistaken += 1);
            }
            let header = |name| {
                headers
                    .get(name)
                    .and_then(|value| value.to_str().ok())
                    .unwrap_or_default()
            };
            let line = json!({
                "id": id,
                "toolId": stored["id"],
                "slug": slug,
                "instance": header(INSTANCE_HEADER),
                "provider": header(PROVIDER_HEADER),
                "time": Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
            });
            self.acknowledge(&line);
        }
    }

    fn acknowledge(&self, line: &Value) {
        let mut file = self
            .acknowledged
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(format!("{line}\n").as_bytes()) {
            errln!("the list of acknowledged writes: {error}");
        }
        self.count(|counts| counts.acknowledged += 1);
    }

    /// Sends to the instance whose turn it is, and to the next one where nobody listens.
    async fn send(&self, request: impl Fn(&str) -> reqwest::RequestBuilder) -> Option<Response> {
        for attempt in 0..2 {
            let backend = self.next();
            match request(&backend.url).send().await {
                Ok(answer) => return Some(answer),
                Err(error) if error.is_connect() && attempt == 0 => {
                    backend.ready.store(false, Ordering::Relaxed)
                }
                Err(_) => break,
            }
        }
        self.count(|counts| counts.unanswered += 1);
        None
    }

    /// Round robin over those that are ready; over all where none is.
    fn next(&self) -> &Backend {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let ready: Vec<&Backend> = self
            .backends
            .iter()
            .filter(|backend| backend.ready.load(Ordering::Relaxed))
            .collect();
        match ready.as_slice() {
            [] => &self.backends[turn % self.backends.len()],
            ready => ready[turn % ready.len()],
        }
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn counts(&self) -> Value {
        let counts = self
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        serde_json::to_value(counts).expect("BUG: counts are plain data")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::demo::sample;

    #[test]
    fn nobody_sends_in_what_is_there_already() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut sent = 0;
        for seed in 0..8 {
            let file = folder.path().join(seed.to_string());
            sample::create(&file, 4_000, seed).expect("a sample");
            let there: HashSet<String> = Connection::open(&file)
                .expect("the sample")
                .prepare(r#"SELECT lower("ExternalId") FROM "ToolContents""#)
                .expect("a query")
                .query_map([], |row| row.get(0))
                .expect("rows")
                .collect::<Result<_, _>>()
                .expect("ids");
            let (mut rng, slugs) = (wishes(seed), ["a", "b", "c"].map(str::to_owned));
            for _ in 0..40_000 {
                let Wish::Publish { id, .. } = draw(&mut rng, &slugs, false) else {
                    continue;
                };
                assert!(!there.contains(&id), "seed {seed}: {id} is there already");
                sent += 1;
            }
        }
        assert!(sent > 20_000, "{sent}");
    }
}
