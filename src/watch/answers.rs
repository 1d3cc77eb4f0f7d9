//! What is answered to a browser: a link becomes a cookie, the page comes as a whole and then in pieces as they change. Everything else is
//! refused, and so is whatever is no `GET`. Nothing that is asked is written down anywhere, for a link is a secret.
//!
//! Not in here: limits on requests and connections (`listen`), who may look (`viewers`).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HeaderMap, HeaderValue, LOCATION,
    REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::shown::Latest;
use super::viewers::{Viewer, Viewers};
use crate::listen::{Answer, Answers, Asked, Flow};
use crate::report::live;

const HOME: &str = "/";
const EVENTS: &str = "/events";
/// Pages that are open at the same time, of all viewers: there is a connection left for whoever comes.
const SCREENS: usize = 48;
/// Pieces on their way to a browser.
const UNREAD: usize = 4;
/// A browser asks anew after so long: no connection is kept for ever.
const ASKS_ANEW: Duration = Duration::from_secs(540);
/// How soon, in milliseconds.
const RETRY: &[u8] = b"retry: 1000\n\n";
const OVER: &[u8] = b"event: over\ndata: over\n\n";
/// A proxy that collects an answer before it hands it on would show nothing.
const ACCEL_BUFFERING: &str = "x-accel-buffering";
/// How a browser reached the proxy.
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// Who answers.
pub struct Door {
    viewers: Viewers,
    session: String,
    latest: watch::Receiver<Latest>,
    screens: Arc<Semaphore>,
    policy: HeaderValue,
    taken_within: Duration,
}

/// What a request is.
enum Wanted<'d> {
    /// A link is followed; it leads to the page.
    Enter,
    Page,
    Events(&'d Viewer),
    /// Something that there is not.
    Nothing,
    /// Nobody who is known.
    Stranger,
}

impl Door {
    /// For these viewers, to this page. Whoever does not take a piece of it in within this time is cut off.
    pub fn new(
        viewers: Viewers,
        session: &str,
        latest: watch::Receiver<Latest>,
        taken_within: Duration,
    ) -> Door {
        let policy = HeaderValue::from_str(&live::policy());
        Door {
            viewers,
            session: session.to_owned(),
            latest,
            screens: Arc::new(Semaphore::new(SCREENS)),
            policy: policy.expect("BUG: a policy is plain text"),
            taken_within,
        }
    }

    fn wanted(&self, asked: &Asked) -> Wanted<'_> {
        if self.viewers.known(token(asked)).is_some() {
            return Wanted::Enter;
        }
        match (self.viewer(&asked.headers), asked.path.as_str()) {
            (None, _) => Wanted::Stranger,
            (Some(_), HOME) => Wanted::Page,
            (Some(viewer), EVENTS) => Wanted::Events(viewer),
            (Some(_), _) => Wanted::Nothing,
        }
    }

    /// Who asks, by the cookie.
    fn viewer(&self, headers: &HeaderMap) -> Option<&Viewer> {
        let all = headers.get_all(COOKIE).iter();
        let cookies = all.filter_map(|value| value.to_str().ok());
        let mut tokens = cookies.flat_map(|line| line.split(';')).filter_map(|one| {
            let (name, token) = one.trim().split_once('=')?;
            (name == self.viewers.cookie()).then_some(token)
        });
        tokens.find_map(|token| self.viewers.known(token))
    }

    /// What is said beside every answer.
    fn headers(&self) -> HeaderMap {
        let plain = HeaderValue::from_static;
        HeaderMap::from_iter([
            (CONTENT_SECURITY_POLICY, self.policy.clone()),
            (X_CONTENT_TYPE_OPTIONS, plain("nosniff")),
            (REFERRER_POLICY, plain("no-referrer")),
            (CACHE_CONTROL, plain("no-store")),
        ])
    }

    fn line(&self, status: StatusCode, line: &str) -> Answer {
        Answer {
            headers: self.headers(),
            ..Answer::line(status, line)
        }
    }

    /// The token goes from the address bar into a cookie, which no script reads.
    fn enter(&self, asked: &Asked) -> Answer {
        let is_tls = asked.headers.get(FORWARDED_PROTO);
        let is_tls = is_tls.is_some_and(|proto| proto == "https");
        let secure = if is_tls { "; Secure" } else { "" };
        // Without a path: a browser takes the folder of this very address, also behind a proxy that has the page below a path of its own.
        let cookie = format!(
            "{}={}; HttpOnly; SameSite=Lax{secure}",
            self.viewers.cookie(),
            token(asked)
        );
        let cookie = HeaderValue::from_str(&cookie);
        let cookie = cookie.expect("BUG: a token that is known is plain text");
        let mut answer = self.line(StatusCode::SEE_OTHER, "the page is one step on");
        answer.headers.insert(SET_COOKIE, cookie);
        let page = HeaderValue::from_static("./");
        answer.headers.insert(LOCATION, page);
        answer
    }

    fn page(&self) -> Answer {
        let latest = Latest::clone(&self.latest.borrow());
        let pieces = latest.pieces.iter().map(|shown| &*shown.piece);
        Answer {
            status: StatusCode::OK,
            content_type: "text/html; charset=utf-8",
            headers: self.headers(),
            body: live::frame(&self.session, pieces).into_bytes(),
        }
    }
}

/// What would be the token of a link.
fn token(asked: &Asked) -> &str {
    asked.path.strip_prefix('/').unwrap_or_default()
}

impl Answers for Door {
    const BODY_LIMIT_BYTES: usize = 1024;

    fn admit(&self, asked: &Asked) -> Result<(), Answer> {
        if asked.method != Method::GET {
            let why = "this page is for reading: GET is all that it takes";
            let mut refusal = self.line(StatusCode::METHOD_NOT_ALLOWED, why);
            let get = HeaderValue::from_static("GET");
            refusal.headers.insert(ALLOW, get);
            return Err(refusal);
        }
        match self.wanted(asked) {
            Wanted::Enter | Wanted::Page | Wanted::Events(_) => Ok(()),
            Wanted::Nothing => Err(self.line(StatusCode::NOT_FOUND, "there is one page here: /")),
            Wanted::Stranger => Err(self.line(
                StatusCode::UNAUTHORIZED,
                "this page is seen with a link that `cutover watch` printed when it began; an earlier one's is void",
            )),
        }
    }

    fn flow(&self, asked: &Asked) -> Option<Flow> {
        let Wanted::Events(viewer) = self.wanted(asked) else {
            return None;
        };
        let own = Arc::clone(&viewer.screens).try_acquire_owned().ok()?;
        let all = Arc::clone(&self.screens).try_acquire_owned().ok()?;
        let (sender, pieces) = mpsc::channel(UNREAD);
        let screen = Screen {
            latest: self.latest.clone(),
            sender,
            broken: asked.broken.clone(),
            taken_within: self.taken_within,
            _places: [own, all],
        };
        tokio::spawn(screen.follow());
        let mut headers = self.headers();
        headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
        Some(Flow {
            content_type: "text/event-stream",
            headers,
            pieces,
        })
    }

    fn answer(&self, asked: &Asked, _: &[u8]) -> Answer {
        match self.wanted(asked) {
            Wanted::Enter => self.enter(asked),
            Wanted::Page => self.page(),
            Wanted::Events(_) => self.line(
                StatusCode::SERVICE_UNAVAILABLE,
                "this page is open as often as it may be; close one",
            ),
            Wanted::Nothing | Wanted::Stranger => {
                self.line(StatusCode::NOT_FOUND, "there is nothing here")
            }
        }
    }
}

/// A page that somebody has open.
struct Screen {
    latest: watch::Receiver<Latest>,
    sender: mpsc::Sender<Bytes>,
    broken: CancellationToken,
    taken_within: Duration,
    _places: [OwnedSemaphorePermit; 2],
}

impl Screen {
    async fn follow(mut self) {
        if !self.send(Bytes::from_static(RETRY)).await {
            return;
        }
        let mut asks_anew = pin!(tokio::time::sleep(ASKS_ANEW));
        let mut seen = 0;
        loop {
            let latest = Latest::clone(&self.latest.borrow_and_update());
            for shown in latest.pieces.iter().filter(|p| p.changed > seen) {
                if !self.send(shown.message.clone()).await {
                    return;
                }
            }
            seen = latest.number;
            if latest.is_over {
                self.send(Bytes::from_static(OVER)).await;
                return;
            }
            tokio::select! {
                changed = self.latest.changed() => if changed.is_err() { return },
                () = self.sender.closed() => return,
                () = &mut asks_anew => return,
            }
        }
    }

    /// Whether it is on its way. Whoever does not read is cut off.
    async fn send(&self, message: Bytes) -> bool {
        let sent = tokio::time::timeout(self.taken_within, self.sender.send(message)).await;
        if sent.is_err() {
            self.broken.cancel();
        }
        matches!(sent, Ok(Ok(())))
    }
}
