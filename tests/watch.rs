//! The page for people who are not on the bridge, over real HTTP and a real session's folder.

mod command;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cutover::engine::lease::Lease;
use cutover::engine::ledger::to_entry;
use cutover::journal::{Folder, Journal};
use cutover::session::Event;
use cutover::watch::viewers::Link;
use cutover::watch::{self, Error, Offered, Terms};
use reqwest::{Method, Response};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::report::journal_below;
use crate::session::language::Bridge;
use crate::support;

const HOUR: Duration = Duration::from_secs(3_600);

fn terms(viewers: &[&str], stays: Duration) -> Terms {
    Terms {
        at: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        behind_proxy: false,
        viewers: viewers.iter().map(|name| (*name).to_owned()).collect(),
        stays,
        taken_within: watch::TAKEN_WITHIN,
    }
}

async fn offer(folder: &Folder, viewers: &[&str]) -> (Offered, Vec<Link>) {
    let offered = watch::offer(folder, terms(viewers, HOUR)).await;
    offered.expect("a page that is offered")
}

/// A night that has come as far as this, below a folder that goes with it.
fn night(step: &str) -> (tempfile::TempDir, Folder, Bridge) {
    let mut bridge = Bridge::open();
    bridge.reach(step);
    let root = tempfile::tempdir().expect("a folder");
    let folder = journal_below(&root.path().join(".cutover"), &bridge.journal);
    (root, folder, bridge)
}

fn note(text: &str) -> Event {
    Event::NoteWritten {
        by: "robin".into(),
        text: text.into(),
    }
}

/// Who writes the journal as an engine does, and holds the lease meanwhile.
struct Hand {
    journal: Journal,
    _lease: Lease,
}

impl Hand {
    fn of(folder: &Folder) -> Hand {
        let lease = Lease::take(folder).expect("the lease");
        let (journal, _) = Journal::open(folder, lease.fencing()).expect("a journal");
        Hand {
            journal,
            _lease: lease,
        }
    }

    fn write(&mut self, at_ms: i64, event: &Event) {
        let (kind, body) = to_entry(event);
        let wall = chrono::Utc::now();
        let written = self.journal.append(at_ms, wall, &[(&kind, &body)]);
        written.expect("appended");
    }
}

/// A browser of one viewer, which follows no redirection by itself.
struct Browser {
    http: reqwest::Client,
    at: SocketAddr,
    cookie: String,
}

impl Browser {
    fn at(at: SocketAddr) -> Browser {
        // It also gives the process what reqwest wants to be there.
        drop(support::http());
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build();
        Browser {
            http: http.expect("an HTTP client"),
            at,
            cookie: String::new(),
        }
    }

    /// One that has followed a link.
    async fn of(at: SocketAddr, link: &Link) -> Browser {
        let mut browser = Browser::at(at);
        let entered = browser.get(&format!("/{}", link.token)).await;
        assert_eq!(entered.status().as_u16(), 303);
        assert_eq!(header(&entered, "location"), "./");
        let cookie = header(&entered, "set-cookie");
        let (cookie, terms) = cookie.split_once("; ").expect("terms");
        assert_eq!(terms, "HttpOnly; SameSite=Lax");
        browser.cookie = cookie.to_owned();
        browser
    }

    async fn ask(&self, method: Method, path: &str) -> Response {
        self.try_to_ask(method, path).await.expect("an answer")
    }

    /// The same where it may be cut off before it has an answer.
    async fn try_to_ask(&self, method: Method, path: &str) -> reqwest::Result<Response> {
        let url = format!("http://{}{path}", self.at);
        let request = self.http.request(method, url);
        request.header("cookie", &self.cookie).send().await
    }

    async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path).await
    }

    async fn page(&self) -> String {
        let page = self.get("/").await;
        assert_eq!(page.status().as_u16(), 200);
        assert_eq!(header(&page, "content-type"), "text/html; charset=utf-8");
        page.text().await.expect("text")
    }

    async fn events(&self) -> Stream {
        let response = self.get("/events").await;
        assert_eq!(response.status().as_u16(), 200);
        assert_eq!(header(&response, "content-type"), "text/event-stream");
        Stream {
            response,
            bytes: Vec::new(),
        }
    }
}

fn header(response: &Response, name: &str) -> String {
    let value = response.headers().get(name);
    let value = value.unwrap_or_else(|| panic!("no {name}"));
    value.to_str().expect("text").to_owned()
}

/// What comes by itself.
struct Stream {
    response: Response,
    bytes: Vec<u8>,
}

impl Stream {
    /// Reads until this has come; all that came up to then.
    async fn until(&mut self, what: &str) -> String {
        let reading = async {
            loop {
                let said = String::from_utf8_lossy(&self.bytes).into_owned();
                if said.contains(what) {
                    return said;
                }
                let more = self.response.chunk().await.expect("a stream");
                self.bytes.extend_from_slice(&more.expect("more of it"));
            }
        };
        let read = tokio::time::timeout(Duration::from_secs(180), reading).await;
        read.unwrap_or_else(|_| panic!("waited in vain: {what}"))
    }
}

#[tokio::test]
async fn nobody_looks_without_a_link_of_their_own() {
    let (_root, folder, _) = night("A1");
    let (offered, links) = offer(&folder, &["ada", "wall"]).await;
    let mut stranger = Browser::at(offered.at);
    let other_token = "A".repeat(43);
    for cookie in ["", "a=b", "cutover_watch_00000000=", "; ;="] {
        stranger.cookie = cookie.to_owned();
        for path in ["/", "/events", "/favicon.ico", "/ada", "/A", "//"] {
            let refused = stranger.get(path).await;
            assert_eq!(refused.status().as_u16(), 401, "{path} {cookie}");
            header(&refused, "content-security-policy");
            says!(refused.text().await.expect("text"), "a link");
        }
        let refused = stranger.get(&format!("/{other_token}")).await;
        assert_eq!(refused.status().as_u16(), 401);
    }
    for link in &links {
        let viewer = Browser::of(offered.at, link).await;
        let page = viewer.page().await;
        assert!(links.iter().all(|link| !page.contains(&link.token)));
        let (name, _) = viewer.cookie.split_once('=').expect("a cookie");
        stranger.cookie = format!("{name}={other_token}");
        assert_eq!(stranger.get("/").await.status().as_u16(), 401);
        assert_eq!(viewer.get("/other").await.status().as_u16(), 404);
    }
    let url = format!("http://{}/{}", offered.at, links[0].token);
    let by_tls = stranger.http.get(url).header("x-forwarded-proto", "https");
    let entered = by_tls.send().await.expect("an answer");
    assert!(header(&entered, "set-cookie").ends_with("; Secure"));
}

#[tokio::test]
async fn nothing_can_be_done_from_the_page_and_it_runs_its_own_script_alone() {
    let (_root, folder, _) = night("A1");
    let (offered, links) = offer(&folder, &["ada"]).await;
    let ada = Browser::of(offered.at, &links[0]).await;
    let link = format!("/{}", links[0].token);
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"] {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        for path in ["/", "/events", "/rollback", link.as_str()] {
            let refused = ada.ask(method.clone(), path).await;
            assert_eq!(refused.status().as_u16(), 405, "{method} {path}");
            assert_eq!(header(&refused, "allow"), "GET");
        }
    }
    let answer = ada.get("/").await;
    let policy = header(&answer, "content-security-policy");
    lacks!(policy, "unsafe");
    says!(policy, "default-src 'none'");
    says!(policy, "frame-ancestors 'none'");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(header(&answer, name), value);
    }
    let page = answer.text().await.expect("text");
    for tag in ["script", "style"] {
        let (begin, end) = (format!("<{tag}>"), format!("</{tag}>"));
        let pieces = page.split(begin.as_str()).skip(1);
        let texts = pieces.filter_map(|piece| piece.split(end.as_str()).next());
        let texts: Vec<&str> = texts.collect();
        assert_eq!(texts.len(), if tag == "script" { 1 } else { 2 });
        for text in texts {
            let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
            let hash = format!("'sha256-{}'", STANDARD.encode(digest));
            assert!(policy.contains(&hash), "{tag}: {policy}");
        }
    }
    for tag in page.split('<').skip(1).filter_map(|t| t.split('>').next()) {
        for part in [" on", " src=", " style=", "href=\"http", "javascript:"] {
            assert!(!tag.contains(part), "<{tag}>");
        }
    }
}

#[tokio::test]
async fn the_page_tells_where_the_night_stands() {
    let (_root, folder, bridge) = night("F3");
    let hostile = "</p><script>alert(1)</script><img src=x onerror=alert(2)>";
    let mut hand = Hand::of(&folder);
    hand.write(bridge.now_ms, &note(hostile));
    let (offered, links) = offer(&folder, &["ada"]).await;
    let ada = Browser::of(offered.at, &links[0]).await;
    let page = ada.page().await;
    for told in [
        "<strong>… Not over</strong>",
        "since the opening",
        "writes are frozen for",
        "A rollback now: ",
        "<p id=\"told\" role=\"status\"></p>",
        "<main>",
        "<section id=\"gates\"><h2>Who signed what, when</h2>",
        "<th scope=\"col\"",
        "<td>K8</td>",
        "<section id=\"steps\"><h2>Steps</h2>",
        "<section id=\"triggers\"><h2>Triggers</h2>",
        "<section id=\"rollback\"></section>",
        "aria-label=\"Timeline: ",
        "aria-label=\"5xx over time",
        "&lt;script&gt;alert(1)",
    ] {
        says!(page, told);
    }
    lacks!(page, "No engine runs");
    lacks!(page, "<img");
    assert_eq!(page.matches("<script>").count(), 1);
    // Of a night without an engine it says so.
    drop(hand);
    let mut events = ada.events().await;
    events.until("No engine runs").await;
}

#[tokio::test]
async fn what_happens_comes_by_itself_up_to_the_end() {
    let (_root, folder, bridge) = night("end");
    let mut hand = Hand::of(&folder);
    let (offered, links) = offer(&folder, &["ada"]).await;
    let ada = Browser::of(offered.at, &links[0]).await;
    let mut events = ada.events().await;
    let first = events.until("data: origin\n").await;
    says!(first, "event: piece\ndata: verdict\n");
    says!(first, "event: piece\ndata: gates\n");
    lacks!(first, "the pool is calm");
    hand.write(bridge.now_ms + 1_000, &note("the pool is calm"));
    let told = events.until("the pool is calm").await;
    lacks!(told, "✓ Completed");
    let completed = Event::SessionCompleted { by: "robin".into() };
    hand.write(bridge.now_ms + 2_000, &completed);
    let told = events.until("event: over").await;
    says!(told, "<strong>✓ Completed</strong>");
    says!(told, "The session is over.");
    // Whoever comes now is told at once.
    let page = ada.page().await;
    says!(page, "The session is over.");
    ada.events().await.until("event: over").await;
}

#[tokio::test]
async fn a_page_whose_session_is_over_goes_by_itself() {
    let (_root, folder, bridge) = night("end");
    let completed = Event::SessionCompleted { by: "robin".into() };
    Hand::of(&folder).write(bridge.now_ms, &completed);
    let offered = watch::offer(&folder, terms(&["ada"], Duration::ZERO)).await;
    let (offered, _) = offered.expect("a page that is offered");
    let at = offered.at;
    let over = tokio::time::timeout(Duration::from_secs(180), offered.until_over()).await;
    over.expect("an end").expect("an orderly one");
    support::until("nobody listens any more", async || {
        let http = support::http();
        http.get(format!("http://{at}/")).send().await.is_err()
    })
    .await;
}

#[tokio::test]
async fn one_viewer_has_a_few_screens_and_takes_none_from_others() {
    let (_root, folder, _) = night("A1");
    let (offered, links) = offer(&folder, &["ada", "wall"]).await;
    let ada = Browser::of(offered.at, &links[0]).await;
    let mut open = Vec::new();
    let refused = loop {
        let answer = ada.get("/events").await;
        if answer.status().as_u16() != 200 {
            break answer;
        }
        open.push(answer);
        assert!(open.len() < 64, "there is no end of them");
    };
    assert_eq!(refused.status().as_u16(), 503);
    says!(refused.text().await.expect("text"), "close one");
    let wall = Browser::of(offered.at, &links[1]).await;
    wall.events().await.until("data: verdict\n").await;
    ada.page().await;
    drop(open);
    support::until("a screen is free again", async || {
        ada.get("/events").await.status().as_u16() == 200
    })
    .await;
}

/// A connection of this viewer that has asked for what comes by itself and has read no more than how the answer begins; that is empty where
/// it was cut off before.
async fn unread(viewer: &Browser) -> (TcpStream, String) {
    let socket = TcpSocket::new_v4().expect("a socket");
    // What the operating system keeps for a reader that is slow is kept small, so that little has to be sent until it is full.
    let small = socket2::SockRef::from(&socket).set_tcp_mss(536);
    small.expect("small segments");
    let small = socket.set_recv_buffer_size(4_096);
    small.expect("a small buffer");
    let mut stream = socket.connect(viewer.at).await.expect("a connection");
    let request = format!(
        "GET /events HTTP/1.1\r\nhost: here\r\ncookie: {}\r\n\r\n",
        viewer.cookie
    );
    let sent = stream.write_all(request.as_bytes()).await;
    sent.expect("sent");
    let mut status = [0; "HTTP/1.1 200".len()];
    let said = match stream.read_exact(&mut status).await {
        Ok(_) => String::from_utf8_lossy(&status).into_owned(),
        Err(_) => String::new(),
    };
    (stream, said)
}

#[tokio::test]
async fn whoever_does_not_read_is_cut_off() {
    let (_root, folder, bridge) = night("A1");
    let mut hand = Hand::of(&folder);
    // As much as the page shows of a note, and each sign is several of a page's.
    let long = note(&"&".repeat(600));
    for _ in 0..100 {
        hand.write(bridge.now_ms, &long);
    }
    let impatient = Terms {
        taken_within: Duration::from_secs(1),
        ..terms(&["ada"], HOUR)
    };
    let offered = watch::offer(&folder, impatient).await;
    let (offered, links) = offered.expect("a page that is offered");
    let ada = Browser::of(offered.at, &links[0]).await;
    let mut slow = Vec::new();
    // Until there is no place left; or more of them than there are places, for the first were cut off before the last came.
    while slow.len() < 64 {
        let (stream, status) = unread(&ada).await;
        match status.as_str() {
            "HTTP/1.1 200" | "" => slow.push(stream),
            _ => break,
        }
    }
    support::until(
        "one of them is cut off, and its place is free",
        async || {
            hand.write(bridge.now_ms, &long);
            let asked = ada.try_to_ask(Method::GET, "/events").await;
            asked.is_ok_and(|answer| answer.status().as_u16() == 200)
        },
    )
    .await;
    let mut reading = JoinSet::new();
    for mut stream in slow {
        reading.spawn(async move {
            let mut rest = Vec::new();
            // However it ends.
            let _ = stream.read_to_end(&mut rest).await;
            rest
        });
    }
    let ended = tokio::time::timeout(Duration::from_secs(180), reading.join_next()).await;
    let rest = ended.expect("an end").expect("one of them");
    let rest = rest.expect("what was on its way");
    assert!(
        !rest.ends_with(b"0\r\n\r\n"),
        "it ended as if it were whole"
    );
    // Whoever reads has the page all the same.
    says!(ada.page().await, "<strong>… Not over</strong>");
}

#[tokio::test]
async fn other_hosts_reach_it_behind_a_proxy_alone() {
    let (_root, folder, _) = night("A1");
    let everywhere = Terms {
        at: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        ..terms(&["ada"], HOUR)
    };
    let refused = watch::offer(&folder, everywhere.clone()).await;
    let refused = refused.expect_err("no TLS");
    assert!(matches!(refused, Error::Exposed(_)), "{refused}");
    says!(refused.to_string(), "--behind-proxy");
    let behind_proxy = Terms {
        behind_proxy: true,
        ..everywhere
    };
    let offered = watch::offer(&folder, behind_proxy).await;
    assert!(offered.is_ok());
}
