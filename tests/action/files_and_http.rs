//! Files and requests.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::time::Duration;

use cutover::action::{Effect, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Bench, PLENTY};

#[tokio::test]
async fn a_file_is_replaced_at_once_with_its_mode_and_through_its_link() {
    let mut bench = Bench::new();
    let file = bench.folder.path().join("flag");
    let write = |content: &str| Effect::WriteFile {
        path: "flag".into(),
        content: content.into(),
    };
    assert!(bench.run(write("one"), PLENTY).await.unwrap().ok);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o644);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    symlink("flag", bench.folder.path().join("link")).unwrap();
    let through = Effect::WriteFile {
        path: "link".into(),
        content: "two".into(),
    };
    assert!(bench.run(through, PLENTY).await.unwrap().ok);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "two");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(bench.folder.path().join("link").is_symlink());

    let remove = || Effect::RemoveFile {
        path: "flag".into(),
    };
    assert!(bench.run(remove(), PLENTY).await.unwrap().ok);
    assert!(!file.exists());
    assert!(
        bench.run(remove(), PLENTY).await.unwrap().ok,
        "already gone is fine"
    );
}

#[tokio::test]
async fn a_path_stays_where_it_was_said_to_be() {
    let mut bench = Bench::new();
    for path in ["../flag", "a/../../flag"] {
        let effect = Effect::WriteFile {
            path: path.into(),
            content: String::new(),
        };
        assert!(matches!(
            bench.run(effect, PLENTY).await,
            Err(Error::PathEscapes { .. })
        ));
    }
    let nowhere = Effect::WriteFile {
        path: PathBuf::from("none/flag"),
        content: String::new(),
    };
    let outcome = bench.run(nowhere, PLENTY).await.unwrap();
    assert!(
        !outcome.ok && outcome.tail[0].contains("cannot write"),
        "{outcome:?}"
    );
}

/// Answers one connection with `answer`, or never when there is none. Returns the base URL and what was asked.
async fn server(answer: Option<&'static str>) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        match answer {
            Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
            None => std::future::pending().await,
        }
        String::from_utf8(request).unwrap()
    });
    (url, asked)
}

/// Answers one connection with a body that never ends, as fast as it is taken.
async fn endless() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        let piece = [b'x'; 1 << 16];
        let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while sent.is_ok() {
            sent = stream.write_all(&piece).await;
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_an_end_is_read_as_far_as_it_matters() {
    let mut bench = Bench::new();
    let outcome = bench
        .run(post(&endless().await, &[]), PLENTY)
        .await
        .unwrap();
    assert!(outcome.ok && !outcome.timed_out, "{outcome:?}");
    let is_told = |line: &String| line.contains("longer than 1048576 bytes");
    assert!(outcome.tail.iter().any(is_told), "{outcome:?}");
}

fn post(url: &str, expect_status: &[u16]) -> Effect {
    Effect::Http {
        method: "POST".into(),
        url: url.to_owned(),
        headers: vec![("authorization".into(), "Bearer hunter2".into())],
        body: Some("{\"text\": \"freeze of {instance}\"}".into()),
        expect_status: expect_status.to_vec(),
    }
}

#[tokio::test]
async fn a_request_is_sent_as_written_and_its_status_judged() {
    for (answer, expected, ok) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", vec![], true),
        (
            "HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n",
            vec![],
            false,
        ),
        (
            "HTTP/1.1 409 Conflict\r\ncontent-length: 4\r\n\r\nbusy",
            vec![409, 200],
            true,
        ),
        (
            "HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\nbusy",
            vec![],
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\nbroken off",
            vec![],
            false,
        ),
    ] {
        let mut bench = Bench::new();
        bench.placeholders = bench.placeholders.clone().with("instance", "web 1");
        let (url, asked) = server(Some(answer)).await;
        let outcome = bench.run(post(&url, &expected), PLENTY).await.unwrap();
        assert_eq!(outcome.ok, ok, "{answer}: {outcome:?}");
        assert_eq!(outcome.http_status.unwrap().to_string(), answer[9..12]);
        let request = asked.await.unwrap();
        assert!(
            request.contains("authorization: Bearer hunter2")
                && request.ends_with("{\"text\": \"freeze of web 1\"}")
        );
        assert!(!bench.output().contains("hunter2"));
        if answer.contains("busy") {
            assert!(bench.lines.contains(&"busy".to_owned()));
        }
    }
}

#[tokio::test]
async fn a_request_without_an_answer_has_failed() {
    let mut bench = Bench::new();
    let (url, asked) = server(None).await;
    let outcome = bench
        .run(post(&url, &[]), Duration::from_millis(300))
        .await
        .unwrap();
    assert!(outcome.timed_out && !outcome.ok);
    asked.abort();

    let closed = crate::fleet::instance::absent("app-1").url;
    let outcome = bench.run(post(&closed, &[]), PLENTY).await.unwrap();
    assert!(!outcome.ok && outcome.http_status.is_none());
    assert!(outcome.tail[0].contains("no answer"), "{outcome:?}");
    assert!(matches!(
        bench.run(post("not a url", &[]), PLENTY).await,
        Err(Error::Request { .. })
    ));
}

#[tokio::test]
async fn an_action_touches_the_file_that_it_names_and_no_other() {
    let mut bench = Bench::new();
    let folder = bench.folder.path().to_owned();
    let names = ["flag.partial", ".cutover-mine", "flag2", "output-of-mine"];
    for name in names {
        std::fs::write(folder.join(name), name).unwrap();
    }
    let write = Effect::WriteFile {
        path: "flag".into(),
        content: "on".into(),
    };
    let remove = Effect::RemoveFile {
        path: "flag".into(),
    };
    assert!(bench.run(write, PLENTY).await.unwrap().ok);
    assert!(bench.run(remove, PLENTY).await.unwrap().ok);
    for name in names {
        assert_eq!(std::fs::read_to_string(folder.join(name)).unwrap(), name);
    }
}
