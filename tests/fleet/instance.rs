//! Instances for tests: real HTTP servers that answer whatever the test says, however badly.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cutover::runbook::Instance;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;

/// What an instance does when it is asked for a path.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A status and a body.
    Text(u16, String),
    /// 200 and these bytes, which may be no text.
    Bytes(Vec<u8>),
    /// The first, then the next, …; the last for ever.
    InTurn(Vec<Reply>),
    /// This to whoever has this `Authorization`, and 401 to all others.
    To(String, Box<Reply>),
    /// A redirect to itself.
    Loop,
    /// Bytes without end, and without a length.
    Endless,
    /// A length of 200 MB, and bytes without end.
    Announced,
    /// A byte a second.
    Trickle,
    /// Nothing, ever.
    Silence,
}

/// A running instance. Dropping it closes its port.
pub struct Server {
    pub instance: Instance,
    replies: Replies,
    task: JoinHandle<()>,
}

type Replies = Arc<Mutex<Answers>>;

#[derive(Default)]
struct Answers {
    by_path: BTreeMap<String, Reply>,
    asked: Vec<String>,
}

impl Server {
    pub async fn start(id: &str) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let replies = Replies::default();
        let app = axum::Router::new()
            .fallback(answer)
            .with_state(replies.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.expect("serving") });
        let instance = Instance {
            id: id.to_owned(),
            url: format!("http://{address}"),
            host: "127.0.0.1".to_owned(),
            canary: false,
            called: None,
        };
        Server {
            instance,
            replies,
            task,
        }
    }

    /// What it answers from now on.
    pub fn set(&self, path: &str, reply: Reply) {
        let mut answers = self.replies.lock().expect("answers");
        answers.by_path.insert(path.to_owned(), reply);
    }

    pub fn text(&self, path: &str, status: u16, body: &str) {
        self.set(path, Reply::Text(status, body.to_owned()));
    }

    /// How often it was asked for a path.
    pub fn asked(&self, path: &str) -> usize {
        let answers = self.replies.lock().expect("answers");
        answers.asked.iter().filter(|p| *p == path).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An instance that is not there: nobody listens at its port. The port stays taken for as long as this process lives, so that no server of
/// another test gets it.
pub fn absent(id: &str) -> Instance {
    static TAKEN: Mutex<Vec<TcpSocket>> = Mutex::new(Vec::new());
    let socket = TcpSocket::new_v4().expect("a socket");
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(anywhere).expect("a port");
    let address = socket.local_addr().expect("its address");
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    taken.push(socket);
    Instance {
        id: id.to_owned(),
        url: format!("http://{address}"),
        host: "127.0.0.1".to_owned(),
        canary: false,
        called: None,
    }
}

async fn answer(State(replies): State<Replies>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let authorization = request.headers().get(header::AUTHORIZATION);
    let authorization = authorization.map(|value| value.as_bytes().to_vec());
    let reply = {
        let mut answers = replies.lock().expect("answers");
        answers.asked.push(path.clone());
        let reply = answers.by_path.get_mut(&path);
        reply.map_or_else(|| Reply::Text(404, "nothing here".to_owned()), next)
    };
    let reply = match reply {
        Reply::To(who, reply) if authorization.as_deref() == Some(who.as_bytes()) => *reply,
        Reply::To(..) => Reply::Text(401, "who are you?".to_owned()),
        reply => reply,
    };
    match reply {
        Reply::Text(status, body) => {
            (StatusCode::from_u16(status).expect("a status"), body).into_response()
        }
        Reply::Bytes(bytes) => bytes.into_response(),
        Reply::Loop => with(header::LOCATION, &path, StatusCode::FOUND, Body::empty()),
        Reply::Endless => Body::from_stream(endless()).into_response(),
        Reply::Announced => with(
            header::CONTENT_LENGTH,
            "200000000",
            StatusCode::OK,
            Body::from_stream(endless()),
        ),
        Reply::Trickle => Body::from_stream(trickle()).into_response(),
        Reply::Silence => std::future::pending().await,
        Reply::InTurn(_) | Reply::To(..) => unreachable!("what stands in it"),
    }
}

fn next(reply: &mut Reply) -> Reply {
    match reply {
        Reply::InTurn(replies) if replies.len() > 1 => replies.remove(0),
        Reply::InTurn(replies) => replies[0].clone(),
        other => other.clone(),
    }
}

fn with(name: HeaderName, value: &str, status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let value = HeaderValue::from_str(value).expect("a header's value");
    response.headers_mut().insert(name, value);
    response
}

fn endless() -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> {
    let megabyte = Bytes::from(vec![b'x'; 1 << 20]);
    futures_util::stream::repeat_with(move || Ok(megabyte.clone()))
}

fn trickle() -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> {
    futures_util::stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((Ok(Bytes::from_static(b"x")), ()))
    })
}
