//! One request to one instance, with limits on everything, and what its answer is worth (E3, V2, the synthetic requests).

use std::error::Error as _;
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, LOCATION};

use super::{BODY_LIMIT_BYTES, compare};
use crate::runbook::Request;
use crate::text::printable;

/// Characters of foreign text that a message quotes.
const QUOTE_CHARS: usize = 120;

/// What an instance answered, all of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    /// All of its headers.
    pub headers: HeaderMap,
    /// Where it sends us, for a redirect. Never followed.
    pub location: Option<String>,
    /// From asking to the body's last byte.
    pub ms: f64,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The address or a header is not one.
    #[error("{url} cannot be asked: {why}")]
    BadUrl {
        /// As it was after `{url}` was filled in.
        url: String,
        why: String,
    },
    /// This machine has no room for another connection.
    #[error("this machine cannot open another connection: {why}")]
    NoRoom {
        /// As the operating system says it.
        why: String,
    },
    /// The command that prints its headers has not.
    #[error("{why}")]
    NoHeaders { why: String },
    /// No connection, or it broke.
    #[error("no connection: {why}")]
    NoConnection { why: String },
    /// The answer was not complete in time.
    #[error("no complete answer within {limit_ms} ms")]
    TimedOut { limit_ms: u64 },
    /// The answer is longer than we read.
    #[error("the answer is longer than {limit_bytes} bytes")]
    TooLong { limit_bytes: usize },
    /// The answer is not HTTP, or breaks off.
    #[error("the answer makes no sense: {why}")]
    Broken { why: String },
}

impl AskError {
    /// Whether it is our own fault, so that nothing is known about the instance: *no data*, not a failure.
    pub fn is_ours(&self) -> bool {
        matches!(
            self,
            AskError::BadUrl { .. } | AskError::NoRoom { .. } | AskError::NoHeaders { .. }
        )
    }
}

/// How an answer differs from what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Another status.
    #[error("answered {status} instead of {expected}: {start}")]
    Status {
        status: u16,
        expected: u16,
        /// Where it sends us, or how the body begins.
        start: String,
    },
    /// The text is not in the body.
    #[error("the answer does not contain `{wanted}`; it begins with {start}")]
    Content {
        wanted: String,
        /// How the body begins.
        start: String,
    },
    /// The body is not the recorded one.
    #[error(
        "the answer ({length} bytes) differs from the recorded one ({recorded_length} bytes) from byte {at} on: {here} instead of {recorded}"
    )]
    Body {
        /// First byte that differs, from 0.
        at: usize,
        /// Bytes in the answer.
        length: usize,
        /// Bytes in the recorded answer.
        recorded_length: usize,
        here: String,
        recorded: String,
    },
    /// The body does not say what the recorded one says.
    #[error("the answer differs from the recorded one: {place} is {here} instead of {recorded}")]
    Json {
        place: String,
        here: String,
        recorded: String,
    },
    /// One of the bodies cannot be compared as JSON.
    #[error("{whose} is to be compared as JSON, but {why}")]
    NotJson {
        whose: &'static str,
        why: &'static str,
    },
}

/// Asks one instance with the headers that stand in the runbook. `base_url` stands for `{url}`. The limit covers everything from the first
/// packet to the last byte. With what a command prints asks [`super::signed::Tokens::ask`].
///
/// # Errors
/// No complete answer. A complete one is [`judge`]d by what it says.
pub async fn ask(
    client: &reqwest::Client,
    request: &Request,
    base_url: &str,
    time_limit: Duration,
) -> Result<Answer, AskError> {
    ask_with(client, request, &[], base_url, time_limit).await
}

/// The same with more headers.
pub async fn ask_with(
    client: &reqwest::Client,
    request: &Request,
    more: &[(String, String)],
    base_url: &str,
    time_limit: Duration,
) -> Result<Answer, AskError> {
    let url = request.url.replace("{url}", base_url);
    let method =
        reqwest::Method::from_bytes(request.method.as_bytes()).map_err(|e| AskError::BadUrl {
            url: format!("{} {}", request.method, printable(&url, QUOTE_CHARS)),
            why: e.to_string(),
        })?;
    let mut outgoing = client.request(method, parse(&url)?);
    for (name, value) in request.headers.iter().chain(more) {
        outgoing = outgoing.header(name, value);
    }
    if let Some(body) = &request.body {
        outgoing = outgoing.body(body.clone());
    }
    limited(outgoing, &url, time_limit, BODY_LIMIT_BYTES).await
}

/// Gets one address, reading at most so many bytes.
pub async fn get(
    client: &reqwest::Client,
    url: &str,
    time_limit: Duration,
    limit_bytes: usize,
) -> Result<Answer, AskError> {
    limited(client.get(parse(url)?), url, time_limit, limit_bytes).await
}

/// Gets one address with headers, reading at most so many bytes.
pub async fn get_with(
    client: &reqwest::Client,
    url: &str,
    headers: &[(String, String)],
    time_limit: Duration,
    limit_bytes: usize,
) -> Result<Answer, AskError> {
    let mut outgoing = client.get(parse(url)?);
    for (name, value) in headers {
        outgoing = outgoing.header(name, value);
    }
    limited(outgoing, url, time_limit, limit_bytes).await
}

/// Compares an answer with what its request expects and, where the request compares bodies, with the recorded body.
pub fn judge(request: &Request, answer: &Answer, recorded: Option<&[u8]>) -> Result<(), Mismatch> {
    if answer.status != request.status {
        return Err(Mismatch::Status {
            status: answer.status,
            expected: request.status,
            start: answer.start(),
        });
    }
    if let Some(wanted) = &request.contains
        && !contains(&answer.body, wanted.as_bytes())
    {
        return Err(Mismatch::Content {
            wanted: printable(wanted, QUOTE_CHARS),
            start: answer.start(),
        });
    }
    match recorded {
        Some(recorded) => compare::bodies(&request.compare_body, &answer.body, recorded),
        None => Ok(()),
    }
}

impl Answer {
    /// How it begins, or where it sends us, made harmless.
    pub fn start(&self) -> String {
        if let Some(location) = &self.location {
            let to = printable(location, QUOTE_CHARS);
            return format!("a redirect to {to}, which is not followed");
        }
        match &self.body[..self.body.len().min(4 * QUOTE_CHARS)] {
            [] => "an empty body".to_owned(),
            start => format!(
                "`{}`",
                printable(&String::from_utf8_lossy(start), QUOTE_CHARS)
            ),
        }
    }
}

fn parse(url: &str) -> Result<reqwest::Url, AskError> {
    reqwest::Url::parse(url).map_err(|e| AskError::BadUrl {
        url: printable(url, QUOTE_CHARS),
        why: e.to_string(),
    })
}

async fn limited(
    outgoing: reqwest::RequestBuilder,
    url: &str,
    time_limit: Duration,
    limit_bytes: usize,
) -> Result<Answer, AskError> {
    match tokio::time::timeout(time_limit, exchange(outgoing, url, limit_bytes)).await {
        Ok(answer) => answer,
        Err(_) => Err(AskError::TimedOut {
            limit_ms: time_limit.as_millis() as u64,
        }),
    }
}

async fn exchange(
    outgoing: reqwest::RequestBuilder,
    url: &str,
    limit_bytes: usize,
) -> Result<Answer, AskError> {
    let began = Instant::now();
    let mut response = outgoing.send().await.map_err(|e| classified(&e, url))?;
    let header = |name: HeaderName| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    let announced = header(CONTENT_LENGTH).and_then(|text| text.parse::<usize>().ok());
    let location = header(LOCATION).filter(|_| response.status().is_redirection());
    if announced.is_some_and(|length| length > limit_bytes) {
        return Err(AskError::TooLong { limit_bytes });
    }
    let mut body = Vec::with_capacity(announced.unwrap_or(0));
    while let Some(chunk) = response.chunk().await.map_err(|e| classified(&e, url))? {
        if body.len() + chunk.len() > limit_bytes {
            return Err(AskError::TooLong { limit_bytes });
        }
        body.extend_from_slice(&chunk);
        // Pieces may come faster than they are read: the time limit gets its turn all the same.
        tokio::task::yield_now().await;
    }
    Ok(Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body,
        location,
        ms: began.elapsed().as_secs_f64() * 1_000.0,
    })
}

/// What went wrong, by kind, in the words of its innermost cause.
fn classified(error: &reqwest::Error, url: &str) -> AskError {
    let mut why = "no reason given".to_owned();
    let mut cause = error.source();
    while let Some(inner) = cause {
        why = printable(&inner.to_string(), QUOTE_CHARS);
        let code = inner
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::raw_os_error);
        if code.is_some_and(is_exhaustion) {
            return AskError::NoRoom { why };
        }
        cause = inner.source();
    }
    if error.is_builder() {
        let url = printable(url, QUOTE_CHARS);
        AskError::BadUrl { url, why }
    } else if error.is_connect() {
        AskError::NoConnection { why }
    } else {
        AskError::Broken { why }
    }
}

/// Too many open files, no buffer, no port left: ours, not the instance's.
fn is_exhaustion(code: i32) -> bool {
    use rustix::io::Errno;
    [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::ADDRNOTAVAIL,
    ]
    .iter()
    .any(|errno| errno.raw_os_error() == code)
}

fn contains(body: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || body.windows(wanted.len()).any(|window| window == wanted)
}
