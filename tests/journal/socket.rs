//! The engine's socket: the engine sees who speaks, and whatever else comes over the socket disturbs nobody.

use std::fs;
use std::time::Duration;

use cutover::engine::lease::Lease;
use cutover::engine::socket::{self, Call, Error, Fault, MAX_REQUEST_BYTES};
use cutover::journal::Folder;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{child, session};

const ENGINE: &str = "journal::socket::child_listens";

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Question {
    text: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Answer {
    text: String,
    user: String,
}

/// Another user, and the bridge's group.
const MEMBER: u32 = 47_112;
const BRIDGE: u32 = 47_200;

/// An engine that answers every question with the question and the name of who asked.
struct Listener {
    _lease: Lease,
    cancel: CancellationToken,
}

fn listen(folder: &Folder) -> Listener {
    let (listener, mut calls) = listen_only(folder);
    tokio::spawn(async move {
        while let Some(call) = calls.recv().await {
            let answer = Answer {
                text: call.request.text.clone(),
                user: call.peer.user_name.clone(),
            };
            call.answer(answer);
        }
    });
    listener
}

fn listen_only(folder: &Folder) -> (Listener, mpsc::Receiver<Call<Question, Answer>>) {
    let lease = Lease::take(folder).expect("the lease");
    let cancel = CancellationToken::new();
    let calls = socket::serve(folder, &lease, cancel.clone()).expect("a socket");
    let listener = Listener {
        _lease: lease,
        cancel,
    };
    (listener, calls)
}

async fn ask(folder: &Folder, text: &str) -> Result<Answer, Error> {
    let question = Question {
        text: text.to_owned(),
    };
    socket::send(folder, &question).await
}

/// Says bytes, as nobody should, and reads what comes back.
async fn say(folder: &Folder, bytes: &[u8], then_close: bool) -> String {
    let mut stream = UnixStream::connect(folder.socket_path())
        .await
        .expect("a connection");
    let mut answer = Vec::new();
    let (mut read, mut write) = stream.split();
    let speak = async {
        let written = write.write_all(bytes).await;
        if then_close {
            let _ = write.shutdown().await;
        }
        written
    };
    let (_, _) = tokio::join!(speak, read.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn the_engine_hears_what_is_asked_and_who_asks() {
    let session = session();
    let (_ear, mut calls) = listen_only(&session.folder);
    let folder = session.folder.clone();
    let asked = tokio::spawn(async move { ask(&folder, "may I?").await });
    let call = calls.recv().await.expect("a call");
    assert_eq!(call.request.text, "may I?");
    assert_eq!(call.peer.uid, rustix::process::getuid().as_raw());
    assert_eq!(call.peer.gid, rustix::process::getgid().as_raw());
    assert_eq!(call.peer.pid, Some(std::process::id().cast_signed()));
    if call.peer.uid == 0 {
        assert_eq!(call.peer.user_name, "root");
    }
    call.answer(Answer {
        text: "yes".to_owned(),
        user: String::new(),
    });
    assert_eq!(asked.await.expect("a task").expect("an answer").text, "yes");
    let pong = socket::ping(&session.folder).await.expect("a pong");
    assert_eq!(
        (pong.pid, pong.fencing),
        (std::process::id(), 1),
        "who listens"
    );
}

#[tokio::test]
async fn garbage_costs_its_sender_an_error_and_nobody_else_anything() {
    let session = session();
    let folder = &session.folder;
    let _ear = listen(folder);
    let deep = format!("{{\"request\":{}\n", "[".repeat(50_000));
    let long = vec![b'x'; 4 * MAX_REQUEST_BYTES];
    let long_line = [&long[..], b"\n"].concat();
    let cases: [(&str, &[u8], &str); 10] = [
        ("an empty line", b"\n", ""),
        ("no JSON", b"GET / HTTP/1.1\r\n\r\n", "not_understood"),
        ("zeros", &[0; 100], "not_understood"),
        (
            "not UTF-8",
            b"{\"request\":{\"text\":\"\xff\xfe\"}}\n",
            "not_understood",
        ),
        (
            "another type",
            b"{\"request\":{\"text\":5}}\n",
            "not_understood",
        ),
        ("another verb", b"{\"shutdown\":null}\n", "not_understood"),
        (
            "half a request",
            b"{\"request\":{\"text\":\"rollba",
            "not_understood",
        ),
        (
            "no line end",
            b"{\"request\":{\"text\":\"rollback\"}}",
            "not_understood",
        ),
        ("deep nesting", deep.as_bytes(), "not_understood"),
        ("a long line", &long_line, "too_long"),
    ];
    for (name, bytes, expected) in cases {
        let answer = say(folder, bytes, true).await;
        assert!(answer.contains(expected), "{name}: {answer}");
        let next = ask(folder, name).await.expect("the engine still answers");
        assert_eq!(next.text, name);
    }
    let without_end = say(folder, &long, false).await;
    assert!(without_end.contains("too_long"), "{without_end}");
}

#[tokio::test]
async fn half_a_connection_gets_its_whole_answer() {
    let session = session();
    let _ear = listen(&session.folder);
    let answer = say(
        &session.folder,
        b"{\"request\":{\"text\":\"hello\"}}\nand more that nobody reads\n",
        true,
    )
    .await;
    assert!(
        answer.starts_with("{\"answer\":{\"text\":\"hello\""),
        "{answer}"
    );
    assert_eq!(answer.matches('\n').count(), 1);
}

#[tokio::test]
async fn speakers_who_dawdle_hold_nobody_up() {
    let session = session();
    let folder = &session.folder;
    let _ear = listen(folder);
    let mut slow = Vec::new();
    for _ in 0..60 {
        let mut stream = UnixStream::connect(folder.socket_path())
            .await
            .expect("a connection");
        stream.write_all(b"{").await.expect("one byte");
        slow.push(stream);
    }
    ask(folder, "quick").await.expect("an answer meanwhile");
    let is_busy = |answer: &Result<Answer, Error>| {
        matches!(
            answer,
            Err(Error::Refused {
                kind: Fault::Busy,
                ..
            })
        )
    };
    // Until there is one too many. Whoever dawdles for too long loses the place again.
    while !is_busy(&ask(folder, "one too many").await) {
        let stream = UnixStream::connect(folder.socket_path()).await;
        slow.push(stream.expect("a connection"));
        assert!(slow.len() < 400, "there is no end of them");
    }
    // Whoever is turned away is told so, however many they are; a place that a dawdler has lost is somebody's.
    let crowd = (0..100).map(|_| ask(folder, "one of many"));
    for answer in futures_util::future::join_all(crowd).await {
        assert!(is_busy(&answer) || answer.is_ok(), "{answer:?}");
    }
    drop(slow);
    until(async || ask(folder, "again").await.is_ok()).await;
}

/// As another user of the operating system, whom only root can play; this thread is that user's from here on.
fn become_a_member() {
    use rustix::process::{Gid, Uid};
    let (uid, gid) = (Uid::from_raw(MEMBER), Gid::from_raw(BRIDGE));
    rustix::thread::set_thread_groups(&[]).expect("no other groups");
    rustix::thread::set_thread_res_gid(gid, gid, gid).expect("their group");
    rustix::thread::set_thread_res_uid(uid, uid, uid).expect("their user");
}

/// One member opens connections without end and keeps them: those beyond their places are told so at once, and nobody else waits.
#[tokio::test(flavor = "multi_thread")]
async fn a_members_flood_is_turned_away_and_keeps_nobody_else_out() {
    use std::io::Read;
    const FLOOD: usize = 200;
    let is_root = rustix::process::geteuid().is_root();
    let session = session();
    let folder = session.folder.clone();
    let above = folder.dir().parent().expect("a root");
    if is_root {
        folder.let_in(Some(BRIDGE), None).expect("root may");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(above, open).expect("a mode");
    } else {
        eprintln!(
            "not root: the flood is this user's own, and that nobody else waits was not looked at"
        );
    }
    let _ear = listen(&folder);
    let socket = folder.socket_path();
    let flood = std::thread::spawn(move || {
        if is_root {
            become_a_member();
        }
        let connect = |_| std::os::unix::net::UnixStream::connect(&socket).expect("a connection");
        (0..FLOOD).map(connect).collect::<Vec<_>>()
    });
    let flood = tokio::task::spawn_blocking(|| flood.join());
    let flood = flood.await.expect("a thread").expect("connections");
    if is_root {
        let answer = ask(&folder, "roll back").await;
        assert!(answer.is_ok(), "{answer:?}");
    }
    let told = tokio::task::spawn_blocking(move || {
        let told = flood.into_iter().map(|mut stream| {
            let mut said = String::new();
            stream.read_to_string(&mut said).expect("an answer");
            said.contains(r#""kind":"busy""#)
        });
        told.filter(|busy| *busy).count()
    });
    // Those with a place are told after a while that nothing came.
    let told = told.await.expect("answers");
    assert!((1..=FLOOD - 64).contains(&told), "{told} were turned away");
}

#[tokio::test]
async fn speakers_who_leave_and_calls_that_are_dropped() {
    let session = session();
    let folder = &session.folder;
    let (_ear, mut calls) = listen_only(folder);
    let mut gone = UnixStream::connect(folder.socket_path())
        .await
        .expect("a connection");
    gone.write_all(b"{\"request\":{\"text\":\"bye\"}}\n")
        .await
        .expect("a line");
    drop(gone);
    let call = calls.recv().await.expect("it was asked");
    call.answer(Answer {
        text: String::new(),
        user: String::new(),
    });
    let drop_the_next = tokio::spawn(async move { drop(calls.recv().await) });
    let ending = ask(folder, "hello?").await;
    assert!(
        matches!(
            ending,
            Err(Error::Refused {
                kind: Fault::Ending,
                ..
            })
        ),
        "{ending:?}"
    );
    drop_the_next.await.expect("a task");
    let too_long = ask(folder, &"x".repeat(MAX_REQUEST_BYTES)).await;
    assert!(
        matches!(
            too_long,
            Err(Error::Refused {
                kind: Fault::TooLong,
                ..
            })
        ),
        "{too_long:?}"
    );
}

#[tokio::test]
async fn without_an_engine_it_says_so() {
    let session = session();
    let folder = &session.folder;
    assert!(matches!(ask(folder, "x").await, Err(Error::NoEngine)));
    let listener = listen(folder);
    ask(folder, "x").await.expect("an answer");
    listener.cancel.cancel();
    until(async || matches!(ask(folder, "x").await, Err(Error::NotListening { .. }))).await;
    drop(listener);
    assert!(matches!(ask(folder, "x").await, Err(Error::NoEngine)));
    assert!(!folder.socket_path().exists(), "it takes its socket along");
}

#[tokio::test]
async fn a_folder_too_deep_for_a_socket_points_to_one() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder =
        Folder::create_at(&dir.path().join("deep/".repeat(40))).expect("a session's folder");
    let mut places = Vec::new();
    for _ in 0..2 {
        let listener = listen(&folder);
        let pointer = fs::read_to_string(folder.socket_pointer_path()).expect("a pointer");
        let place = std::path::PathBuf::from(pointer.trim());
        assert!(place.as_os_str().len() < 104, "{place:?}");
        ask(&folder, "x").await.expect("an answer");
        places.push(place.clone());
        listener.cancel.cancel();
        until(async || !place.exists()).await;
        until(async || matches!(ask(&folder, "x").await, Err(Error::NotListening { .. }))).await;
    }
    assert_ne!(places[0], places[1], "a name that nobody can foresee");
    for place in places {
        assert!(!place.parent().expect("a folder").exists(), "{place:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn child_listens() {
    let Some(folder) = child::asked_for(ENGINE) else {
        return;
    };
    let _ear = listen(&folder);
    child::say("listening");
    tokio::task::spawn_blocking(child::wait_for_the_parent)
        .await
        .expect("a wait");
}

#[tokio::test]
async fn a_dead_engines_socket_is_replaced_and_a_stopped_ones_is_not() {
    let session = session();
    let folder = &session.folder;
    let mut engine = child::start(ENGINE, folder);
    assert_eq!(engine.hear().as_deref(), Some("listening"));
    ask(folder, "x").await.expect("an answer");

    engine.stop();
    let silent = socket::ping(folder).await;
    assert!(matches!(silent, Err(Error::NoAnswer { .. })), "{silent:?}");
    engine.go_on();
    ask(folder, "x").await.expect("an answer again");

    engine.kill();
    assert!(folder.socket_path().exists(), "nobody cleaned up");
    assert!(matches!(ask(folder, "x").await, Err(Error::NoEngine)));
    let _ear = listen(folder);
    ask(folder, "x").await.expect("the next engine's answer");
}

/// Waits until something holds, with a deadline.
async fn until(holds: impl AsyncFn() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(180), wait)
        .await
        .expect("it should have come about");
}
