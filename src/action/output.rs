//! The output of an action: into lines, masked, capped, hashed, kept.
//!
//! Of a flood the beginning and the end are kept: the beginning says what was tried, the end what went wrong.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use super::{Line, Stream};
use crate::clock;
use crate::format::hex;
use crate::ours::file::sync_name;
use crate::secret::{self, Mask};
use crate::text::printable;

/// Kept from the beginning, and as much again from the end: 4 MiB in all.
const HALF_BYTES: usize = 2 << 20;
/// A line longer than this goes on in pieces.
const LINE_BYTES: usize = 8 << 10;
/// Characters of a line that are passed on.
const LINE_SHOWN: usize = 2_000;
const TAIL_LINES: usize = 20;
/// Beyond the cap, at most one line in this time is passed on.
const SAMPLE_EVERY_MS: i64 = 100;

/// Takes output in as it comes.
pub(super) struct Output<'a> {
    path: PathBuf,
    file: Result<BufWriter<File>, String>,
    hasher: Sha256,
    head_left: usize,
    end: VecDeque<u8>,
    dropped_bytes: u64,
    /// What has come of a line that is not ended yet, per stream.
    pending: [Vec<u8>; 2],
    mask: Arc<Mask>,
    tail: VecDeque<String>,
    passed_on_ms: i64,
    on_line: &'a mut (dyn FnMut(Line) + Send),
}

/// What is left of an [`Output`].
pub(super) struct Kept {
    pub(super) sha256: String,
    pub(super) dropped_bytes: u64,
    pub(super) problem: Option<String>,
    pub(super) tail: Vec<String>,
}

impl<'a> Output<'a> {
    pub(super) fn create(path: &Path, on_line: &'a mut (dyn FnMut(Line) + Send)) -> Self {
        let problem = |error: std::io::Error| {
            format!("cannot keep the output in {}: {error}", path.display())
        };
        Self {
            path: path.to_owned(),
            file: create(path).map(BufWriter::new).map_err(problem),
            hasher: Sha256::new(),
            head_left: HALF_BYTES,
            end: VecDeque::new(),
            dropped_bytes: 0,
            pending: [Vec::new(), Vec::new()],
            mask: secret::mask(),
            tail: VecDeque::new(),
            passed_on_ms: 0,
            on_line,
        }
    }

    /// From now on, secrets that this process has learnt meanwhile are hidden as well.
    pub(super) fn hide_what_is_new(&mut self) {
        self.mask = secret::mask();
    }

    /// Bytes as they came from `stream`.
    pub(super) fn take(&mut self, stream: Stream, bytes: &[u8]) {
        let mut pending = std::mem::take(&mut self.pending[stream as usize]);
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            pending.extend_from_slice(piece);
            if pending.ends_with(b"\n") {
                self.line(stream, &std::mem::take(&mut pending));
            } else if pending.len() > LINE_BYTES + self.mask.held_back_bytes() {
                pending = self.piece(stream, &pending);
            }
        }
        self.pending[stream as usize] = pending;
    }

    /// A remark of our own, as a line.
    pub(super) fn remark(&mut self, text: &str) {
        self.take(Stream::Stderr, format!("cutover: {text}\n").as_bytes());
    }

    /// A line that does not end: everything but what could be the beginning of a secret goes on. Returns that rest.
    fn piece(&mut self, stream: Stream, pending: &[u8]) -> Vec<u8> {
        let masked = self.mask.bytes(pending);
        let rest = masked.len().saturating_sub(self.mask.held_back_bytes());
        self.line(stream, &masked[..rest]);
        masked[rest..].to_vec()
    }

    fn line(&mut self, stream: Stream, bytes: &[u8]) {
        let mask = Arc::clone(&self.mask);
        let masked = mask.bytes(bytes);
        self.keep(&masked);
        let text = String::from_utf8_lossy(&masked);
        let text = printable(text.trim_end_matches(['\n', '\r']), LINE_SHOWN);
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(text.clone());
        let now = clock::now_ms();
        if self.dropped_bytes == 0 || now - self.passed_on_ms >= SAMPLE_EVERY_MS {
            self.passed_on_ms = now;
            (self.on_line)(Line { stream, text });
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(self.head_left));
        self.head_left -= head.len();
        self.write(head);
        self.end.extend(rest);
        let over = self.end.len().saturating_sub(HALF_BYTES);
        self.end.drain(..over);
        self.dropped_bytes += over as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        if let Ok(file) = &mut self.file
            && let Err(error) = file.write_all(bytes)
        {
            self.file = Err(format!("cannot keep the output: {error}"));
        }
    }

    /// Closes the file, durable.
    pub(super) fn finish(mut self) -> Kept {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let last = std::mem::take(&mut self.pending[stream as usize]);
            if !last.is_empty() {
                self.line(stream, &last);
            }
        }
        if self.dropped_bytes > 0 {
            let note = format!(
                "\n… {} bytes of output were not kept …\n",
                self.dropped_bytes
            );
            self.write(note.as_bytes());
        }
        let end: Vec<u8> = std::mem::take(&mut self.end).into();
        self.write(&end);
        let closed = self.file.and_then(|file| {
            let file = file.into_inner().map_err(|error| error.to_string())?;
            file.sync_all()
                .and_then(|()| sync_name(&self.path))
                .map_err(|error| format!("cannot keep the output: {error}"))
        });
        Kept {
            sha256: if closed.is_ok() {
                hex(&self.hasher.finalize())
            } else {
                String::new()
            },
            dropped_bytes: self.dropped_bytes,
            problem: closed.err(),
            tail: self.tail.into(),
        }
    }
}

/// An empty file, in the place of what is there; a link is not followed.
#[expect(
    clippy::disallowed_methods,
    reason = "the output of an action, in the session's folder"
)]
fn create(path: &Path) -> std::io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
        memchr::memmem::find(haystack, needle)
    }

    fn collect(chunks: &[&[u8]]) -> (Vec<String>, Vec<u8>, Kept) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut lines = Vec::new();
        let mut on_line = |line: Line| lines.push(line.text);
        let mut output = Output::create(&path, &mut on_line);
        for chunk in chunks {
            output.take(Stream::Stdout, chunk);
        }
        let kept = output.finish();
        (lines, std::fs::read(&path).unwrap(), kept)
    }

    #[test]
    fn lines_are_whole_however_they_come() {
        let (lines, file, kept) = collect(&[b"on", b"e\r\ntw", b"o\nthr\x1b[31mee"]);
        assert_eq!(lines, ["one", "two", "thr\\u{1b}[31mee"]);
        assert_eq!(file, b"one\r\ntwo\nthr\x1b[31mee");
        assert_eq!(kept.sha256, crate::sqlite::digest::of_bytes(&file));
        assert_eq!(kept.tail, lines);
    }

    #[test]
    fn secrets_are_hidden_across_chunks_and_in_lines_without_an_end() {
        secret::learn(
            [secret::Secret::Listed {
                name: "PIN".to_owned(),
                value: "hunter/2-of-output".to_owned(),
            }],
            [],
        );
        let held_back = secret::mask().held_back_bytes();
        for written in ["hunter/2-of-output", "hunter%2F2%2dof-output"] {
            for before in [LINE_BYTES - 3, LINE_BYTES + held_back - 5] {
                let long = [
                    vec![b'x'; before],
                    written.as_bytes().to_vec(),
                    vec![b'y'; LINE_BYTES * 2 + held_back],
                ]
                .concat();
                let (head, rest) = written.as_bytes().split_at(5);
                let (lines, file, kept) = collect(&[
                    b"a ",
                    head,
                    rest,
                    b" b\n",
                    &long[..before + 1],
                    &long[before + 1..],
                ]);
                assert_eq!(lines[0], "a ${PIN} b");
                assert_eq!(find(&file, written.as_bytes()), None);
                assert_eq!(find(&file, b"hunter"), None);
                assert!(find(&file, b"x${PIN}y").is_some());
                assert_eq!(kept.sha256, crate::sqlite::digest::of_bytes(&file));
            }
        }
    }

    #[test]
    fn of_a_flood_both_ends_are_kept() {
        let line = [b"0123456789".repeat(10), b"\n".to_vec()].concat();
        let flood: Vec<&[u8]> = vec![&line; 6 * HALF_BYTES / line.len()];
        let chunks = [
            vec![b"first\n".as_slice()],
            flood,
            vec![b"last\n".as_slice()],
        ]
        .concat();
        let (lines, file, kept) = collect(&chunks);
        assert!(file.len() < 2 * HALF_BYTES + 100);
        assert!(file.starts_with(b"first\n") && file.ends_with(b"last\n"));
        assert!(kept.dropped_bytes > 0);
        assert!(find(&file, kept.dropped_bytes.to_string().as_bytes()).is_some());
        assert!(lines.len() < chunks.len());
        assert_eq!(kept.tail.last().unwrap(), "last");
    }
}
