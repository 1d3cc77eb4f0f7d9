//! A command that prints what is new in a log (`journalctl -f`, `kubectl logs -f`, `ssh … tail -F`), read for as long as it runs and
//! started again when it has ended.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::action::{self, Action, Following, Placeholders, Run, Stream};
use crate::monitor::Ground;
use crate::secret;
use crate::text::printable;

/// Bytes that wait to be looked at; then the command has to wait.
const INBOX_LIMIT_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of a line that are kept; the rest of it is passed over.
const LINE_LIMIT_BYTES: usize = 64 * 1024;

/// Characters of its last words that a reason quotes.
const QUOTE_CHARS: usize = 80;

/// One such command. Dropped, it ends.
pub(super) struct Source {
    action: Action,
    placeholders: Placeholders,
    ground: Ground,
    inbox: Arc<Inbox>,
    reader: Option<JoinHandle<()>>,
    /// The line that has not ended yet, as much of it as is kept.
    line: Vec<u8>,
}

/// What has come and was not looked at.
#[derive(Default)]
struct Inbox {
    state: Mutex<State>,
    room: Notify,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    is_full: bool,
    /// How it ended, if it has.
    ended: Option<String>,
    /// The last line of its standard error.
    last_words: String,
}

impl Source {
    pub(super) fn new(action: &Action, placeholders: Placeholders, ground: Ground) -> Source {
        Source {
            action: action.clone(),
            placeholders,
            ground,
            inbox: Arc::default(),
            reader: None,
            line: Vec::new(),
        }
    }

    /// Gives out each line that came since the last look. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// What was there has been given out; why that may not be all.
    pub(super) fn read(&mut self, each: &mut dyn FnMut(&[u8], Instant)) -> Result<(), String> {
        let state = std::mem::take(&mut *self.inbox.lock());
        self.inbox.room.notify_one();
        self.take(&state.bytes, each);
        if let Some(how) = state.ended {
            self.reader = None;
            self.line.clear();
            return Err(match state.last_words.is_empty() {
                true => format!("the command ended: {how}"),
                false => {
                    let words = printable(&secret::masked(&state.last_words), QUOTE_CHARS);
                    format!("the command ended: {how}: {words}")
                }
            });
        }
        if !state.last_words.is_empty() {
            self.inbox.lock().last_words = state.last_words;
        }
        if self.reader.is_none() {
            self.start()?;
        }
        match state.is_full {
            true => Err("the command prints faster than it is read".to_owned()),
            false => Ok(()),
        }
    }

    fn start(&mut self) -> Result<(), String> {
        let run = Run {
            action: &self.action,
            placeholders: &self.placeholders,
            environment: &self.ground.environment,
            folder: &self.ground.folder,
            output_path: std::path::Path::new("/dev/null"),
        };
        let following = action::follow(run).map_err(|error| error.to_string())?;
        let following = following.ok_or("this is no command")?;
        self.reader = Some(tokio::spawn(keep(following, Arc::clone(&self.inbox))));
        Ok(())
    }

    fn take(&mut self, bytes: &[u8], each: &mut dyn FnMut(&[u8], Instant)) {
        let now = Instant::now();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_LIMIT_BYTES - self.line.len();
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                let line = self.line.trim_ascii_end();
                if !line.is_empty() {
                    each(line, now);
                }
                self.line.clear();
            }
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if let Some(reader) = &self.reader {
            reader.abort();
        }
    }
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("BUG: no holder panics")
    }

    /// Whether there was room.
    fn put(&self, bytes: &[u8]) -> bool {
        let mut state = self.lock();
        state.is_full = state.bytes.len() + bytes.len() > INBOX_LIMIT_BYTES;
        if !state.is_full {
            state.bytes.extend_from_slice(bytes);
        }
        !state.is_full
    }
}

/// Reads it to its end. While the inbox is full it is not read, and waits.
async fn keep(mut following: Following, inbox: Arc<Inbox>) {
    while let Some((stream, bytes)) = following.read().await {
        match stream {
            Stream::Stdout => {
                while !inbox.put(&bytes) {
                    inbox.room.notified().await;
                }
            }
            Stream::Stderr => {
                let text = String::from_utf8_lossy(&bytes);
                if let Some(last) = text.lines().rev().find(|line| !line.trim().is_empty()) {
                    inbox.lock().last_words = last.to_owned();
                }
            }
        }
    }
    let how = following.ended().await;
    inbox.lock().ended = Some(how);
}
