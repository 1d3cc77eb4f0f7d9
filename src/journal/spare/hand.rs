//! The one who writes and reads the spare folder: a thread of its own, for a disk that no longer answers (a network mount that is gone) holds
//! whoever asks it, and that must not be the engine. Each answer is waited for so long and no longer; until it has come nobody waits again.
//!
//! Not in here: the file itself (`spare`), and what follows where it does not answer (`writer::unstored`).

use std::io::{self, ErrorKind};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread;
use std::time::Duration;

use super::{Lying, NotKept, Spare};
use crate::journal::canonical::Hash;
use crate::journal::record::Entry;

/// How long the engine's loop waits for what it writes there. A rollback is late by this much, once.
const WRITE_LIMIT: Duration = Duration::from_secs(2);
/// How long the beginning of an engine waits for what lies there.
const READ_LIMIT: Duration = Duration::from_secs(5);
/// Parts in which a time is waited: where the machine pauses, the disk had no time to answer either, and one part is over and no more.
const PARTS: u32 = 20;

type Job = Box<dyn FnOnce(&Spare) + Send>;

/// Work on the spare folder, one thing after the other.
#[derive(Debug)]
pub struct Hand {
    spare: Spare,
    jobs: Sender<Job>,
    /// The entries that lie there, of those that the journal's file lacks, by their hashes. `None` where nobody knows.
    lies: Option<Vec<Hash>>,
    open: Option<Open>,
    /// How long what is written there is waited for.
    write_limit: Duration,
}

/// What has not been answered yet.
#[derive(Debug)]
struct Open {
    answer: Receiver<Result<(), NotKept>>,
    /// What lies there once it has gone well.
    then: Vec<Hash>,
}

impl Hand {
    /// One that has nothing to do yet. Its thread ends with it, or when its disk answers.
    pub fn of(spare: Spare) -> io::Result<Hand> {
        let (jobs, todo) = mpsc::channel::<Job>();
        let at = spare.clone();
        thread::Builder::new()
            .name("spare folder".to_owned())
            .spawn(move || todo.into_iter().for_each(|job| job(&at)))?;
        Ok(Hand {
            spare,
            jobs,
            lies: None,
            open: None,
            write_limit: WRITE_LIMIT,
        })
    }

    pub fn spare(&self) -> &Spare {
        &self.spare
    }

    /// What lies there.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] where the disk does not answer; and what [`Spare::read`] says.
    pub fn read(&mut self) -> io::Result<Lying> {
        let answer = self.ask(Spare::read);
        match within(READ_LIMIT, &answer) {
            Ok(read) => read,
            Err(RecvTimeoutError::Timeout) => Err(silent(READ_LIMIT)),
            Err(RecvTimeoutError::Disconnected) => Err(ended()),
        }
    }

    /// Whether all of these entries, which the journal's file lacks, lie there.
    pub fn keeps(&self, all: &[Entry]) -> bool {
        all.is_empty() || self.lies.as_ref().is_some_and(|lies| *lies == hashes(all))
    }

    /// Says that these lie there already, and nothing that is not in the journal's file.
    pub fn has(&mut self, all: &[Entry]) {
        self.lies = Some(hashes(all));
    }

    /// Keeps all entries that the journal's file lacks, those that lie there already among them. Gives whether all of them lie there now.
    pub fn keep(&mut self, all: &[Entry]) -> bool {
        self.look();
        if self.open.is_some() {
            return false;
        }
        if self.keeps(all) {
            return true;
        }
        let then = hashes(all);
        let lies_before = |lies: &Vec<Hash>| then.starts_with(lies).then_some(lies.len());
        // What lies there and is none of these was refused, for the answer about it came late.
        let answer = match self.lies.as_ref().and_then(lies_before) {
            Some(before) => {
                let missing = all.get(before..).unwrap_or_default().to_vec();
                self.ask(move |spare| spare.add(&missing))
            }
            None => {
                let all = all.to_vec();
                self.ask(move |spare| spare.replace(&all))
            }
        };
        self.wait(answer, then);
        self.keeps(all)
    }

    /// Of what is on its way there some was refused, so that only these entries are to lie there. Nobody waits for it.
    pub fn take_back(&mut self, all: &[Entry]) {
        let then = hashes(all);
        let is_refused = |open: &mut Open| !then.starts_with(&open.then);
        if self.open.as_mut().is_some_and(is_refused) {
            let all = all.to_vec();
            let answer = self.ask(move |spare| spare.replace(&all));
            self.open = Some(Open { answer, then });
        }
    }

    /// Takes in an answer that has come late.
    pub fn look(&mut self) {
        let Some(open) = &self.open else { return };
        let answered = match open.answer.try_recv() {
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => None,
            Ok(answered) => Some(answered),
        };
        if let Some(Open { then, .. }) = self.open.take() {
            self.take_in(answered, then);
        }
    }

    /// Everything is in the journal: what lies there goes as soon as the disk lets it.
    pub fn clear(&mut self) {
        let answer = self.ask(|spare| {
            // What stays is passed over when it is read again.
            spare.clear();
            Ok(())
        });
        match self.open.take() {
            Some(_) => {
                let then = Vec::new();
                self.open = Some(Open { answer, then });
            }
            None => self.wait(answer, Vec::new()),
        }
    }

    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Spare) -> T + Send + 'static,
    ) -> Receiver<T> {
        let (told, answer) = mpsc::channel();
        // A thread that is gone gives no answer, which whoever waits is told; and whoever asked may have gone on without it.
        let _ = self.jobs.send(Box::new(move |spare| {
            let _ = told.send(work(spare));
        }));
        answer
    }

    fn wait(&mut self, answer: Receiver<Result<(), NotKept>>, then: Vec<Hash>) {
        match within(self.write_limit, &answer) {
            Ok(answered) => self.take_in(Some(answered), then),
            Err(RecvTimeoutError::Timeout) => {
                self.say(&silent(self.write_limit));
                self.open = Some(Open { answer, then });
            }
            Err(RecvTimeoutError::Disconnected) => self.take_in(None, then),
        }
    }

    fn take_in(&mut self, answered: Option<Result<(), NotKept>>, then: Vec<Hash>) {
        match answered {
            Some(Ok(())) => self.lies = Some(then),
            Some(Err(NotKept {
                error,
                is_as_before,
            })) => {
                self.say(&error);
                self.lies.take_if(|_| !is_as_before);
            }
            None => {
                self.say(&ended());
                self.lies = None;
            }
        }
    }

    fn say(&self, error: &io::Error) {
        tracing::warn!(%error, path = %self.spare.path().display(), "the spare folder took nothing");
    }
}

/// An answer, if it comes in time.
fn within<T>(limit: Duration, answer: &Receiver<T>) -> Result<T, RecvTimeoutError> {
    for _ in 0..PARTS {
        match answer.recv_timeout(limit / PARTS) {
            Err(RecvTimeoutError::Timeout) => {}
            answered => return answered,
        }
    }
    Err(RecvTimeoutError::Timeout)
}

fn hashes(entries: &[Entry]) -> Vec<Hash> {
    entries.iter().map(|entry| entry.hash).collect()
}

fn silent(limit: Duration) -> io::Error {
    let why = format!("its disk has not answered for {} s", limit.as_secs());
    io::Error::new(ErrorKind::TimedOut, why)
}

fn ended() -> io::Error {
    io::Error::other("the thread for the spare folder has ended")
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read as _;

    use super::*;
    use crate::journal::canonical::Hash;

    fn entry(seq: u64) -> Entry {
        Entry {
            seq,
            fencing: 1,
            at_ms: 0,
            wall: chrono::DateTime::UNIX_EPOCH,
            kind: "noted".to_owned(),
            hash: Hash::of(&seq.to_be_bytes()),
            body: serde_json::json!({ "n": seq }),
        }
    }

    /// One that waits for a disk that is slow.
    fn patient(spare: &Spare) -> Hand {
        let mut hand = Hand::of(spare.clone()).expect("a thread");
        hand.write_limit = Duration::from_secs(120);
        hand
    }

    fn seqs(hand: &mut Hand) -> Vec<u64> {
        let lying = hand.read().expect("lines, or none");
        lying.entries.iter().map(|entry| entry.seq).collect()
    }

    #[test]
    fn what_is_added_in_parts_is_read_as_one_and_goes_when_it_is_cleared() {
        let dir = tempfile::tempdir().expect("a folder");
        let spare = Spare::of(&dir.path().join("spare"), "tonight", Hash::ZERO);
        let mut hand = patient(&spare);
        assert!(seqs(&mut hand).is_empty());
        hand.has(&[]);
        let all = [entry(1), entry(2), entry(3)];
        assert!(hand.keep(&all[..1]) && hand.keep(&all));
        let mut second = Hand::of(spare.clone()).expect("a thread");
        assert_eq!((seqs(&mut second), hand.keeps(&all)), (vec![1, 2, 3], true));
        hand.clear();
        assert!(seqs(&mut hand).is_empty());
        assert!(!spare.path().exists() && hand.keeps(&[]));
    }

    /// Of what lies there and nobody knows of, and of half a line, nothing is left once something is kept.
    #[test]
    fn what_lies_there_and_is_none_of_it_goes() {
        let dir = tempfile::tempdir().expect("a folder");
        let spare = Spare::of(dir.path(), "tonight", Hash::ZERO);
        let mut hand = patient(&spare);
        hand.has(&[]);
        assert!(hand.keep(&[entry(1), entry(2)]));
        assert!(hand.keep(&[entry(1), entry(3)]));
        assert_eq!(seqs(&mut hand), [1, 3]);
        let text = std::fs::read_to_string(spare.path()).expect("two lines");
        std::fs::write(spare.path(), text + "{\"seq\":4,\"fe").expect("half a line");
        let mut next = patient(&spare);
        let lying = next.read().expect("two lines");
        assert!(!lying.is_whole && lying.entries.len() == 2);
        assert!(next.keep(&[entry(1), entry(3), entry(5)]));
        assert_eq!(seqs(&mut next), [1, 3, 5]);
        assert!(next.read().expect("three lines").is_whole);
    }

    /// An event that was refused, for nobody knew whether it lay there, does not lie there for the next engine to find.
    #[test]
    fn what_was_refused_and_came_late_is_taken_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let spare = Spare::of(dir.path(), "tonight", Hash::ZERO);
        let mut hand = patient(&spare);
        hand.has(&[]);
        assert!(hand.keep(&[entry(1)]));
        let (go, gate) = mpsc::channel::<()>();
        let _ = hand.ask(move |_| gate.recv());
        hand.write_limit = Duration::from_millis(50);
        assert!(!hand.keep(&[entry(1), entry(2)]));
        hand.write_limit = Duration::from_secs(120);
        hand.take_back(&[entry(1)]);
        hand.take_back(&[entry(1)]);
        go.send(()).expect("its thread waits");
        assert_eq!(seqs(&mut hand), [1]);
        hand.look();
        assert!(hand.keeps(&[entry(1)]) && !hand.keeps(&[entry(1), entry(2)]));
        assert!(hand.keep(&[entry(1), entry(3)]));
        assert_eq!(seqs(&mut hand), [1, 3]);
    }

    /// A pipe that nobody reads holds whoever opens it to write, as a disk that is gone does.
    #[test]
    fn what_hangs_is_waited_for_once_and_its_late_answer_counts() {
        let dir = tempfile::tempdir().expect("a folder");
        let spare = Spare::of(dir.path(), "tonight", Hash::ZERO);
        let made = std::process::Command::new("mkfifo")
            .arg(spare.path())
            .status();
        assert!(made.expect("mkfifo").success());
        let mut hand = Hand::of(spare.clone()).expect("a thread");
        hand.has(&[]);
        let all = [entry(1), entry(2)];
        hand.write_limit = Duration::from_millis(50);
        assert!(!hand.keep(&all[..1]));
        // Whoever waited again would wait for a day.
        hand.write_limit = Duration::from_secs(86_400);
        let (told, done) = mpsc::channel();
        let both = all.clone();
        thread::spawn(move || {
            let is_kept = hand.keep(&both);
            hand.clear();
            told.send((hand, is_kept))
        });
        let done = done.recv_timeout(Duration::from_secs(180));
        let (mut hand, is_kept) = done.expect("nobody waits again");
        assert!(!is_kept, "it is not asked again");
        // The disk is back: the line that was on its way is written, and then goes with the file.
        let mut line = [0; 1];
        File::open(spare.path())
            .and_then(|mut pipe| pipe.read_exact(&mut line))
            .expect("a line");
        assert_eq!(&line, b"{");
        assert!(seqs(&mut hand).is_empty());
        hand.look();
        assert!(hand.keeps(&[]) && !hand.keeps(&all));
    }
}
