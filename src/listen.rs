//! A small HTTP/1.1 server with a limit on everything: connections, headers, bodies, time. What the OTLP probe, the engine's page of
//! figures and the page of `cutover watch` listen with. An answer is whole, or goes on for a while in pieces.
//!
//! Not in here: what is answered. Nobody is known by this: whoever reaches the address may ask.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt as _, Either, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Connections at the same time; others wait, and as long as there is no other place each connection is closed after its next answer.
const CONNECTIONS: usize = 64;
/// How long a connection may take until a request's headers are complete, and may be idle between two requests.
const HEADERS_WITHIN: Duration = Duration::from_secs(30);
/// How long a request may take from its headers to the last byte of its body.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// A connection that is older is closed after its present request: none is kept for ever.
const CONNECTION_WITHIN: Duration = Duration::from_secs(600);
/// How long that request may take then.
const LAST_REQUEST_WITHIN: Duration = Duration::from_secs(15);
/// Where the operating system has no room for another connection.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// A request of which the headers have come.
#[derive(Debug)]
pub struct Asked {
    /// `GET`.
    pub method: Method,
    /// Without the query.
    pub path: String,
    pub headers: HeaderMap,
    /// Cancelled, it breaks the connection off: for whoever does not read what it asked for.
    pub broken: CancellationToken,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    /// Of the body.
    pub content_type: &'static str,
    /// What else is said beside it.
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// A line for people.
    pub fn line(status: StatusCode, line: impl Into<String>) -> Answer {
        Answer {
            status,
            content_type: "text/plain; charset=utf-8",
            headers: HeaderMap::new(),
            body: (line.into() + "\n").into_bytes(),
        }
    }
}

/// An answer that goes on: its pieces as they come, until whoever sends them lets go. It ends with its connection, ten minutes at most.
#[derive(Debug)]
pub struct Flow {
    /// Of the whole.
    pub content_type: &'static str,
    /// What else is said beside it.
    pub headers: HeaderMap,
    /// As many as it holds wait for a reader that is slow.
    pub pieces: mpsc::Receiver<Bytes>,
}

pub trait Answers: Send + Sync + 'static {
    /// Bytes of a body at most.
    const BODY_LIMIT_BYTES: usize;

    /// Refuses what is no question for it, before the body is read.
    fn admit(&self, asked: &Asked) -> Result<(), Answer>;

    /// Answers a request that was admitted with an answer that goes on; `None` where it has one that is whole.
    fn flow(&self, _: &Asked) -> Option<Flow> {
        None
    }

    /// Answers a request that was admitted.
    fn answer(&self, asked: &Asked, body: &[u8]) -> Answer;
}

/// A server at work. It ends when this is dropped.
#[derive(Debug)]
pub struct Listening {
    pub at: SocketAddr,
    _ends: DropGuard,
}

/// Starts to listen.
pub async fn at<A: Answers>(address: SocketAddr, answers: A) -> io::Result<Listening> {
    let listener = TcpListener::bind(address).await?;
    let at = listener.local_addr()?;
    let cancel = CancellationToken::new();
    let ends = cancel.clone();
    tokio::spawn(async move {
        cancel
            .run_until_cancelled(accept(listener, Arc::new(answers), cancel.clone()))
            .await;
    });
    Ok(Listening {
        at,
        _ends: ends.drop_guard(),
    })
}

async fn accept<A: Answers>(listener: TcpListener, answers: Arc<A>, cancel: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let (answers, cancel) = (Arc::clone(&answers), cancel.clone());
                let places = Arc::clone(&places);
                tokio::spawn(async move {
                    let served = serve(stream, answers, places);
                    cancel.run_until_cancelled(served).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(TRY_AGAIN).await,
        }
    }
}

async fn serve<A: Answers>(stream: TcpStream, answers: Arc<A>, places: Arc<Semaphore>) {
    let broken = CancellationToken::new();
    let service = service_fn(|request| {
        let (answers, places) = (Arc::clone(&answers), Arc::clone(&places));
        let broken = broken.clone();
        async move {
            let mut response = response(handle(&*answers, request, broken).await);
            if places.available_permits() == 0 {
                // Whoever waits gets this place: an exporter that keeps its connection would have it for ten minutes.
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close);
            }
            Ok::<_, Infallible>(response)
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let served = async {
        // Whoever broke off gets no answer, and is no business of ours.
        let ended = tokio::time::timeout(CONNECTION_WITHIN, connection.as_mut()).await;
        if ended.is_err() {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(LAST_REQUEST_WITHIN, connection.as_mut()).await;
        }
    };
    broken.run_until_cancelled(served).await;
}

/// What is said to a request.
enum Said {
    Whole(Answer),
    Flow(Flow),
}

async fn handle<A: Answers>(
    answers: &A,
    request: Request<Incoming>,
    broken: CancellationToken,
) -> Said {
    let (head, body) = request.into_parts();
    let asked = Asked {
        method: head.method,
        path: head.uri.path().to_owned(),
        headers: head.headers,
        broken,
    };
    if let Err(refusal) = answers.admit(&asked) {
        return Said::Whole(refusal);
    }
    if let Some(flow) = answers.flow(&asked) {
        return Said::Flow(flow);
    }
    let answer = match tokio::time::timeout(BODY_WITHIN, whole(body, A::BODY_LIMIT_BYTES)).await {
        Ok(Ok(body)) => answers.answer(&asked, &body),
        Ok(Err(refusal)) => refusal,
        Err(_) => Answer::line(
            StatusCode::REQUEST_TIMEOUT,
            format!(
                "the body was not complete within {} s",
                BODY_WITHIN.as_secs()
            ),
        ),
    };
    Said::Whole(answer)
}

async fn whole(body: Incoming, limit_bytes: usize) -> Result<Bytes, Answer> {
    match Limited::new(body, limit_bytes).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Answer::line(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body has more than {limit_bytes} bytes"),
        )),
        Err(error) => Err(Answer::line(
            StatusCode::BAD_REQUEST,
            format!("the body broke off: {error}"),
        )),
    }
}

/// A body that goes on.
struct Pieces(mpsc::Receiver<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.get_mut().0.poll_recv(context);
        next.map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

fn response(said: Said) -> Response<Either<Full<Bytes>, Pieces>> {
    let (status, content_type, headers, body) = match said {
        Said::Whole(answer) => {
            let body = Either::Left(Full::new(Bytes::from(answer.body)));
            (answer.status, answer.content_type, answer.headers, body)
        }
        Said::Flow(flow) => {
            let body = Either::Right(Pieces(flow.pieces));
            (StatusCode::OK, flow.content_type, flow.headers, body)
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    struct Yes;

    impl Answers for Yes {
        const BODY_LIMIT_BYTES: usize = 10;

        fn admit(&self, _: &Asked) -> Result<(), Answer> {
            Ok(())
        }

        fn answer(&self, _: &Asked, _: &[u8]) -> Answer {
            Answer::line(StatusCode::OK, "yes")
        }
    }

    /// Asks once over a connection of its own, which stays open on this side; all that came up to the end of the answer.
    async fn ask(at: SocketAddr) -> (TcpStream, String) {
        let mut stream = TcpStream::connect(at).await.expect("a connection");
        let request = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n";
        stream.write_all(request).await.expect("sent");
        let mut said = Vec::new();
        while !said.ends_with(b"yes\n") {
            let read = stream.read_buf(&mut said).await.expect("an answer");
            assert_ne!(read, 0, "{said:?}");
        }
        (stream, String::from_utf8_lossy(&said).into_owned())
    }

    #[tokio::test]
    async fn more_exporters_than_there_are_places_are_all_answered() {
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let listening = at(here, Yes).await.expect("a port");
        let mut open = Vec::new();
        let all = async {
            for _ in 0..2 * CONNECTIONS {
                open.push(ask(listening.at).await);
            }
        };
        // Well before the first of them is closed for saying nothing.
        let answered = tokio::time::timeout(HEADERS_WITHIN / 2, all).await;
        assert!(answered.is_ok(), "{} were answered", open.len());
        let closes = |said: &str| said.to_ascii_lowercase().contains("connection: close");
        assert!(!closes(&open[0].1), "{}", open[0].1);
        assert!(open.last().is_some_and(|(_, said)| closes(said)));
    }
}
