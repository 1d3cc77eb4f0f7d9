//! Our link to PostgreSQL, which a test cuts while the application goes on by its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use url::Url;

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// All goes through.
    Up,
    /// Nothing goes through, and nobody is told. What waits goes through once it is up again.
    Silent,
    /// Every connection is reset, and so is each that is tried.
    Reset,
}

/// A way to a server.
#[derive(Clone)]
pub struct Link {
    port: u16,
    state: Arc<watch::Sender<State>>,
}

impl Link {
    /// To the server of this URL.
    pub async fn to(url: &str) -> Link {
        let server = Url::parse(url).expect("a URL").port().expect("a port");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (state, seen) = watch::channel(State::Up);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, server, seen.clone()));
            }
        });
        let state = Arc::new(state);
        Link { port, state }
    }

    pub fn set(&self, state: State) {
        self.state.send_replace(state);
    }

    /// The same database by this way.
    pub fn by_way_of(&self, url: &str) -> String {
        let mut url = Url::parse(url).expect("a URL");
        url.set_port(Some(self.port)).expect("a port");
        url.into()
    }
}

/// Whether it comes to be so; not once nobody has the link any more.
async fn becomes(seen: &mut watch::Receiver<State>, wanted: State) -> bool {
    seen.wait_for(|state| *state == wanted).await.is_ok()
}

async fn pass_on(mut client: TcpStream, server: u16, mut seen: watch::Receiver<State>) {
    let mut cut = seen.clone();
    let is_reset = tokio::select! {
        biased;
        is_reset = becomes(&mut cut, State::Reset) => is_reset,
        _ = becomes(&mut seen, State::Up) => false,
    };
    if is_reset {
        return reset(&client);
    }
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await else {
        return;
    };
    let is_reset = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let passing = async {
            tokio::join!(
                pump(from_client, to_server, seen.clone()),
                pump(from_server, to_client, seen.clone())
            )
        };
        tokio::select! {
            _ = passing => false,
            is_reset = becomes(&mut cut, State::Reset) => is_reset,
        }
    };
    if is_reset {
        reset(&client);
        reset(&server);
    }
}

/// Passes on what comes, while it is up.
async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut seen: watch::Receiver<State>) {
    let mut bytes = vec![0; 16 * 1024];
    while becomes(&mut seen, State::Up).await {
        let read = tokio::select! {
            read = from.read(&mut bytes) => read,
            changed = seen.changed() => match changed {
                Ok(()) => continue,
                Err(_) => break,
            },
        };
        // What was on its way when it was cut waits.
        let is_up = becomes(&mut seen, State::Up).await;
        let sent = match read {
            Ok(n @ 1..) if is_up => to.write_all(&bytes[..n]).await.is_ok(),
            Ok(_) | Err(_) => false,
        };
        if !sent {
            break;
        }
    }
    // It may be closed already.
    let _ = to.shutdown().await;
}

/// Ends a connection so that the other side is told at once.
fn reset(stream: &TcpStream) {
    let socket = socket2::SockRef::from(stream);
    let set = socket.set_linger(Some(Duration::ZERO));
    set.expect("a socket");
}
