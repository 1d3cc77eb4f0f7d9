//! Answers that never come: through a proxy that loses them on the way, from a server that works for long, and from one that is away.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cutover::postgres::Endpoint;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support;

/// Longer than any silence here lasts; what is awaited for so long has hung.
const DEADLINE: Duration = Duration::from_secs(120);

/// Passes everything on, until a client has sent this text so many times: what that client's server says from then on is lost. Others are
/// not concerned.
async fn losing(text: &'static str, times: usize, server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let seen = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass_on(client, server, text, times, Arc::clone(&seen)));
        }
    });
    address
}

async fn pass_on(
    client: TcpStream,
    server: SocketAddr,
    text: &'static str,
    times: usize,
    seen: Arc<AtomicUsize>,
) {
    let server = TcpStream::connect(server).await.expect("the server");
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let is_lost = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let loses = Arc::clone(&is_lost);
    let there = async move {
        let mut bytes = vec![0; 65_536];
        while let Ok(n @ 1..) = from_client.read(&mut bytes).await {
            let sent = &bytes[..n];
            let is_named = memchr::memmem::find(sent, text.as_bytes()).is_some();
            if is_named && seen.fetch_add(1, Ordering::SeqCst) + 1 == times {
                loses.store(true, Ordering::SeqCst);
            }
            if to_server.write_all(sent).await.is_err() {
                break;
            }
        }
    };
    let back = async move {
        let mut bytes = vec![0; 65_536];
        while let Ok(n @ 1..) = from_server.read(&mut bytes).await {
            let lost = is_lost.load(Ordering::SeqCst);
            if !lost && to_client.write_all(&bytes[..n]).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(there, back);
}

/// The same database by way of a proxy.
fn by_way_of(url: &str, proxy: SocketAddr) -> String {
    let mut url = url::Url::parse(url).expect("a URL");
    url.set_port(Some(proxy.port())).expect("a port");
    url.into()
}

fn server_of(url: &str) -> SocketAddr {
    let url = url::Url::parse(url).expect("a URL");
    SocketAddr::from(([127, 0, 0, 1], url.port().expect("a port")))
}

/// An endpoint, and what it told.
fn telling(url: &str) -> (Endpoint, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&told);
    let endpoint = Endpoint::parse(url).expect("a URL");
    let endpoint =
        endpoint.telling(move |sentence| into.lock().expect("told").push(sentence.to_owned()));
    (endpoint, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_on_the_way_is_an_error_and_not_a_wait() {
    let database = support::database().await;
    let proxy = losing("COMMIT", 1, server_of(&database.url)).await;
    let (endpoint, told) = telling(&by_way_of(&database.url, proxy));
    let client = endpoint.connect().await.expect("a connection");
    let work = "CREATE TABLE t(n integer); BEGIN; INSERT INTO t VALUES (1)";
    client.batch_execute(work).await.expect("a row");
    let committed = tokio::time::timeout(DEADLINE, client.batch_execute("COMMIT")).await;
    committed
        .expect("no wait without an end")
        .expect_err("no answer came");
    let told = told.lock().expect("told").join("; ");
    assert!(told.contains("lost on the way"), "{told}");
    // The server had done it.
    let (endpoint, _) = telling(&database.url);
    let client = endpoint.connect().await.expect("a connection");
    let rows = client.query_one("SELECT count(*) FROM t", &[]).await;
    assert_eq!(rows.expect("counted").get::<_, i64>(0), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_the_lock_is_named_and_a_long_statement_is_waited_for() {
    let database = support::database().await;
    let (endpoint, told) = telling(&database.url);
    let holder = endpoint
        .with_application_name("somebody-else")
        .connect()
        .await;
    let holder = holder.expect("a connection");
    for statement in ["CREATE TABLE t(n integer)", "BEGIN; LOCK TABLE t"] {
        holder.batch_execute(statement).await.expect("the lock");
    }
    let client = endpoint.connect().await.expect("a connection");
    let released = async {
        let is_told = async || !told.lock().expect("told").is_empty();
        support::until("the wait is told", is_told).await;
        holder.batch_execute("COMMIT").await.expect("released");
    };
    let work = client.batch_execute("INSERT INTO t VALUES (1)");
    let (done, ()) = tokio::join!(tokio::time::timeout(DEADLINE, work), released);
    done.expect("in time")
        .expect("the row, once the lock is free");
    let told = told.lock().expect("told").join("; ");
    assert!(told.contains("INSERT INTO t"), "{told}");
    says!(told, "as somebody-else, idle in transaction");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_goes_on_by_itself_after_a_commit_whose_answer_was_lost() {
    let database = support::database().await;
    let (endpoint, _) = telling(&database.url);
    let client = endpoint.connect().await.expect("a connection");
    let tables = "CREATE TABLE a(id integer PRIMARY KEY, v text); CREATE TABLE b(id integer PRIMARY KEY, a_id integer REFERENCES a)";
    client.batch_execute(tables).await.expect("tables");
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("app.db");
    let source = rusqlite::Connection::open(&file).expect("a file");
    let rows = "CREATE TABLE a(id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE b(id INTEGER PRIMARY KEY, a_id INTEGER REFERENCES a);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO a SELECT i, 'v' || i FROM n;
        INSERT INTO b SELECT id, id FROM a";
    source.execute_batch(rows).expect("rows");
    drop(source);
    let proxy = losing("COMMIT", 6, server_of(&database.url)).await;
    let proxied = by_way_of(&database.url, proxy);
    let copy = async |url: &str| {
        let mut command = tokio::process::Command::new(support::cutover());
        command.args([
            "copy",
            "--batch-rows",
            "100",
            "--lanes",
            "1",
            "--to",
            url,
            "--from",
        ]);
        let running = command.arg(&file).kill_on_drop(true).output();
        let ended = tokio::time::timeout(DEADLINE, running).await;
        let ended = ended.expect("no wait without an end").expect("it runs");
        (
            ended.status.code(),
            String::from_utf8_lossy(&ended.stderr).into_owned(),
        )
    };
    let (code, said) = copy(&proxied).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("lost on the way"), "{said}");
    for table in ["a", "b"] {
        let count = format!("SELECT count(*), count(DISTINCT id) FROM {table}");
        let row = client.query_one(&count, &[]).await.expect("counted");
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (500, 500));
    }
}
