//! The page as it is now, in pieces, each with when it last changed and as a browser is told of it: made once, however many look.
//!
//! Not in here: what stands in a piece (`report::live`).

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use hyper::body::Bytes;

use crate::history::Error;
use crate::journal::Folder;
use crate::report::live::{self, Live, Now, Piece};
use crate::{claim, clock};

/// Looks between two at which everything is made anew although no event has come: samples come all the time.
const LOOKS: u32 = 5;

/// What whoever looks is shown.
pub type Latest = Arc<Shown>;

#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// Counts the looks.
    pub number: u64,
    /// In their order on the page.
    pub pieces: Vec<ShownPiece>,
    /// Whether nothing will change any more.
    pub is_over: bool,
}

#[derive(Debug, Clone)]
pub struct ShownPiece {
    pub piece: Arc<Piece>,
    /// The same as a server-sent event.
    pub message: Bytes,
    /// The look at which it became what it is.
    pub changed: u64,
}

impl Shown {
    fn put(&mut self, piece: Piece) {
        let known = self.pieces.iter_mut().find(|p| p.piece.id == piece.id);
        if known.as_ref().is_some_and(|p| *p.piece == piece) {
            return;
        }
        let new = ShownPiece {
            message: message(&piece),
            piece: Arc::new(piece),
            changed: self.number,
        };
        match known {
            Some(known) => *known = new,
            None => self.pieces.push(new),
        }
    }
}

/// A piece as a server-sent event: its id on the first line, what stands in it on the others.
fn message(piece: &Piece) -> Bytes {
    let mut message = format!("event: piece\ndata: {}\n", piece.id);
    // A line that ended otherwise would end the event's own.
    for line in piece.html.split(['\n', '\r']) {
        message.push_str("data: ");
        message.push_str(line);
        message.push('\n');
    }
    message.push('\n');
    Bytes::from(message)
}

/// Until when the page stays, once the session is over.
#[derive(Debug, Clone, Copy)]
struct End {
    boot_ms: i64,
    wall: DateTime<Utc>,
}

pub struct Maker {
    folder: Folder,
    session: String,
    stays: Duration,
    /// `None` after it could not be read: it is opened anew.
    live: Option<Live>,
    latest: Latest,
    looks: u32,
    end: Option<End>,
}

impl Maker {
    /// Reads what is there and makes the first page of it.
    ///
    /// # Errors
    /// The journal cannot be read, or its chain does not hold.
    pub fn open(folder: &Folder, stays: Duration) -> Result<Maker, Error> {
        let live = Live::open(folder)?;
        let mut maker = Maker {
            folder: folder.clone(),
            session: live.session().charter.session.clone(),
            stays,
            live: None,
            latest: Latest::default(),
            looks: 0,
            end: None,
        };
        let mut first = Shown {
            number: 1,
            ..Shown::default()
        };
        maker.show(&live, true, &mut first)?;
        maker.latest = Arc::new(first);
        maker.live = Some(live);
        Ok(maker)
    }

    /// Name of the session.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// The page as it was made last.
    pub fn latest(&self) -> Latest {
        Arc::clone(&self.latest)
    }

    /// Whether the session is over and the page has stayed for long enough.
    pub fn has_stayed(&self) -> bool {
        self.end.is_some_and(|end| clock::now_ms() >= end.boot_ms)
    }

    /// Reads what has come and makes anew what may have changed.
    pub fn look(mut self) -> Maker {
        let mut shown = Shown::clone(&self.latest);
        shown.number += 1;
        let looked = match self.live.take() {
            Some(live) => self.look_on(live, &mut shown),
            None => Live::open(&self.folder).and_then(|live| {
                self.show(&live, true, &mut shown)?;
                Ok(live)
            }),
        };
        match looked {
            Ok(live) => self.live = Some(live),
            Err(error) => shown.put(live::unreadable(&error, clock::wall())),
        }
        self.latest = Arc::new(shown);
        self
    }

    fn look_on(&mut self, mut live: Live, shown: &mut Shown) -> Result<Live, Error> {
        let has_moved = live.read_on()?;
        self.looks += 1;
        let anew = has_moved || self.looks >= LOOKS;
        self.show(&live, anew, shown)?;
        Ok(live)
    }

    /// All of it, or the clock alone.
    fn show(&mut self, live: &Live, anew: bool, shown: &mut Shown) -> Result<(), Error> {
        let session = live.session();
        let is_over = claim::is_over(session, live.is_run()?);
        self.end = match (is_over, self.end) {
            (false, _) => None,
            (true, None) => Some(End::after(self.stays)),
            (true, Some(end)) => Some(end),
        };
        let now_ms = session.now_ms(&clock::boot_id(), clock::now_ms());
        let now = Now {
            at_ms: match is_over {
                true => session.at_ms,
                false => now_ms.unwrap_or(session.at_ms),
            },
            wall: clock::wall(),
            stays_until: self.end.map(|end| end.wall),
        };
        // The page of a session that has just ended is made as a whole before it is said to be the last.
        let anew = anew || (is_over && !shown.is_over);
        if anew {
            self.looks = 0;
            for piece in live.pieces(&now)? {
                shown.put(piece);
            }
        } else if !is_over {
            shown.put(live.clock(&now)?);
        }
        shown.is_over = is_over;
        Ok(())
    }
}

impl End {
    fn after(stays: Duration) -> End {
        let ms = i64::try_from(stays.as_millis()).unwrap_or(i64::MAX);
        let wall = clock::wall();
        let later = TimeDelta::try_milliseconds(ms).and_then(|ms| wall.checked_add_signed(ms));
        End {
            boot_ms: clock::now_ms().saturating_add(ms),
            wall: later.unwrap_or(DateTime::<Utc>::MAX_UTC),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_piece_ends_its_event() {
        let piece = Piece {
            id: "clock",
            html: "<p>a</p>\n\r\ndata: b\revent: over".to_owned(),
        };
        let message = message(&piece);
        let text = std::str::from_utf8(&message).expect("text");
        assert!(text.ends_with("\n\n"), "{text}");
        let lines: Vec<&str> = text.trim_end().lines().collect();
        assert_eq!(lines[..2], ["event: piece", "data: clock"]);
        assert!(lines[1..].iter().all(|line| line.starts_with("data:")));
    }

    #[test]
    fn only_what_is_another_than_before_has_changed() {
        let piece = |html: &str| Piece {
            id: "clock",
            html: html.to_owned(),
        };
        let mut shown = Shown::default();
        for (number, html, changed) in [(1, "a", 1), (2, "a", 1), (3, "b", 3)] {
            shown.number = number;
            shown.put(piece(html));
            assert_eq!(shown.pieces.len(), 1);
            assert_eq!(shown.pieces[0].changed, changed);
        }
    }
}
