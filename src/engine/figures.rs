//! A page of figures for the team's own dashboards (`bridge.metrics`): what screens show, as numbers in Prometheus' text format. It follows
//! the journal as a cockpit does, which has no secrets, so that neither the loop nor what it judges knows of it.
//!
//! Not in here: what stands on it (`page`), and telling people who are not looking (`notify`).

pub mod page;

use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use hyper::header::{ACCEPT, HeaderMap};
use hyper::{Method, StatusCode};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::history::{self, History};
use crate::journal::Folder;
use crate::listen::{self, Answer, Answers, Asked};
use crate::session::Session;
use crate::session::live::{self, FeedView, ItemView, TriggerView};
use page::{Latest, Page};

/// How often the page is made anew. Servers that collect figures ask every few seconds.
const EVERY: Duration = Duration::from_secs(1);
/// How often it is tried to listen, where somebody else does.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// Rounds of samples that one look takes at most; a night that is taken up again has many behind it.
const ROUNDS: usize = 20;

const PATH: &str = "/metrics";
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The page as it was made last; empty before the first.
type Made = Arc<RwLock<Arc<str>>>;

/// Offers the page until what is given back is dropped. Nothing waits for it.
pub fn offer(at: SocketAddr, folder: &Folder) -> DropGuard {
    let cancel = CancellationToken::new();
    let made = Made::new(RwLock::new(Arc::from("")));
    let (making, serving) = (make(folder.clone(), Arc::clone(&made)), serve(at, made));
    let ends = cancel.clone();
    tokio::spawn(async move {
        let both = async { tokio::join!(making, serving) };
        cancel.run_until_cancelled(both).await;
    });
    ends.drop_guard()
}

async fn serve(at: SocketAddr, made: Made) {
    let mut was_told = false;
    let _listening = loop {
        match listen::at(at, Offered(Arc::clone(&made))).await {
            Ok(listening) => break listening,
            Err(error) => {
                if !std::mem::replace(&mut was_told, true) {
                    tracing::warn!(%at, %error, "the page of figures (bridge.metrics) is not offered yet");
                }
                tokio::time::sleep(TRY_AGAIN).await;
            }
        }
    };
    std::future::pending::<()>().await;
}

/// Reads what is new and makes the page of it, for ever.
async fn make(folder: Folder, made: Made) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut reader = None;
    loop {
        tick.tick().await;
        let (folder, before) = (folder.clone(), reader.take());
        let look = tokio::task::spawn_blocking(move || look(before, &folder));
        match look.await {
            Ok(Ok((page, read))) => {
                *made.write().expect("BUG: no holder panics") = Arc::from(page);
                reader = Some(read);
            }
            // It is opened anew at the next look; the page that was made last stays, and says of when it is.
            Ok(Err(error)) => tracing::debug!(%error, "the page of figures was not made"),
            Err(error) => tracing::warn!(%error, "the page of figures was not made"),
        }
    }
}

/// What was read so far.
struct Reader {
    history: History,
    session: Session,
    latest: Latest,
}

fn look(before: Option<Reader>, folder: &Folder) -> Result<(String, Reader), history::Error> {
    let mut reader = match before {
        Some(reader) => reader,
        None => {
            let (history, session) = history::of(folder)?;
            let latest = Latest::default();
            Reader {
                history,
                session,
                latest,
            }
        }
    };
    if !reader.history.read_on()?.is_empty() {
        reader.session = reader.history.session()?;
    }
    for _ in 0..ROUNDS {
        let samples = reader.history.samples()?;
        if samples.is_empty() {
            break;
        }
        reader.latest.take(samples);
    }
    let follower = reader.history.follower();
    let triggers: Option<Vec<TriggerView>> = follower.board(live::key::TRIGGERS)?;
    let items: Option<Vec<ItemView>> = follower.board(live::key::CHECKLIST)?;
    let feed: Option<FeedView> = follower.board(live::key::FEED)?;
    let page = Page {
        session: &reader.session,
        triggers: &triggers.unwrap_or_default(),
        items: &items.unwrap_or_default(),
        feed: feed.as_ref(),
        latest: &reader.latest,
    };
    Ok((page.text(), reader))
}

/// Who answers.
struct Offered(Made);

impl Answers for Offered {
    const BODY_LIMIT_BYTES: usize = 1024;

    fn admit(&self, asked: &Asked) -> Result<(), Answer> {
        match (asked.path.as_str(), &asked.method) {
            (PATH, &Method::GET | &Method::HEAD) => Ok(()),
            (PATH, _) => Err(Answer::line(
                StatusCode::METHOD_NOT_ALLOWED,
                "the figures are for reading: GET",
            )),
            _ => Err(Answer::line(
                StatusCode::NOT_FOUND,
                format!("the figures of this session are at {PATH}"),
            )),
        }
    }

    fn answer(&self, asked: &Asked, _: &[u8]) -> Answer {
        let page = Arc::clone(&self.0.read().expect("BUG: no holder panics"));
        if page.is_empty() {
            let why = "the journal was not read yet";
            return Answer::line(StatusCode::SERVICE_UNAVAILABLE, why);
        }
        let accepted = asked
            .headers
            .get(ACCEPT)
            .and_then(|value| value.to_str().ok());
        let is_open = accepted.is_some_and(|types| types.contains("application/openmetrics-text"));
        Answer {
            status: StatusCode::OK,
            content_type: if is_open { OPEN } else { PLAIN },
            headers: HeaderMap::new(),
            body: page.as_bytes().to_vec(),
        }
    }
}
