//! The supervisor's side of the control socket.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::{Running, damage, rehearsal};
use crate::demo::control::{Answer, Request};

/// The longest question; the longest real one has less than a hundred bytes.
const QUESTION_LIMIT: u64 = 4096;

/// Answers on the socket until the sandbox stops.
pub(super) fn listen(socket: &Path, running: Arc<Running>) -> std::io::Result<()> {
    let listener = UnixListener::bind(socket)?;
    tokio::spawn(async move {
        while let Some(accepted) = running.stop.run_until_cancelled(listener.accept()).await {
            let Ok((stream, _)) = accepted else { continue };
            tokio::spawn(converse(stream, running.clone()));
        }
    });
    Ok(())
}

/// One question, one answer. An attendance lasts until the other side is gone.
async fn converse(mut stream: UnixStream, running: Arc<Running>) {
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(tokio::io::AsyncReadExt::take(read, QUESTION_LIMIT)).lines();
    let Ok(Some(line)) = lines.next_line().await else {
        return;
    };
    let request = serde_json::from_str::<Request>(&line);
    running.presence.note(0);
    let answer = match &request {
        Ok(request) => obey(&running, request).await,
        Err(error) => Err(error.to_string()),
    };
    let answer = match answer {
        Ok(value) => Answer::Done(value),
        Err(reason) => Answer::Failed(reason),
    };
    let text = serde_json::to_string(&answer).expect("BUG: an answer is plain data");
    if write
        .write_all(format!("{text}\n").as_bytes())
        .await
        .is_err()
    {
        return;
    }
    match request {
        Ok(Request::Attend) => {
            running.presence.note(1);
            while let Ok(Some(_)) = lines.next_line().await {}
            running.presence.note(-1);
        }
        Ok(Request::Shutdown) => running.stop.cancel(),
        _ => {}
    }
}

async fn obey(running: &Running, request: &Request) -> Result<Value, String> {
    let text = |error: super::fleet::Error| error.to_string();
    match request {
        Request::Start { name } => running.fleet.start(name).await.map_err(text)?,
        Request::Stop { name } => running.fleet.stop(name).await.map_err(text)?,
        Request::Restart { name, now } => running.fleet.restart(name, *now).await.map_err(text)?,
        Request::Fault { fault } => damage::inject(running, *fault)
            .await
            .map_err(|error| error.to_string())?,
        Request::Heal => damage::heal(running)
            .await
            .map_err(|error| error.to_string())?,
        Request::BeginRehearsal => rehearsal::begin(running)
            .await
            .map_err(|error| error.to_string())?,
        Request::EndRehearsal => rehearsal::end(running)
            .await
            .map_err(|error| error.to_string())?,
        Request::Adopt { leader } => {
            let mut reaper = running
                .reaper
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            reaper.group(*leader).map_err(|error| error.to_string())?;
        }
        Request::Status => {
            let processes = running.fleet.processes().await;
            return Ok(json!({"instances": processes, "traffic": running.traffic.counts()}));
        }
        Request::Attend | Request::Shutdown => {}
    }
    Ok(Value::Null)
}
