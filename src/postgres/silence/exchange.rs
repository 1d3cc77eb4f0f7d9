//! Which requests of a session are open, read off the messages that go by: each `Query` and each `Sync` is answered by one
//! `ReadyForQuery`. Pure. Not in here: time.

/// Longer than any message that PostgreSQL takes or sends.
const LONGEST: u32 = 1 << 30;

/// Requests that were sent and answers that came.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    sent: Messages,
    heard: Messages,
    open: u32,
}

impl Exchange {
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        let Exchange { sent, open, .. } = self;
        sent.read(bytes, |kind| match kind {
            b'Q' | b'S' => *open += 1,
            _ => {}
        });
    }

    pub(super) fn heard(&mut self, bytes: &[u8]) {
        let Exchange { heard, open, .. } = self;
        heard.read(bytes, |kind| match kind {
            b'Z' => *open = open.saturating_sub(1),
            // COPY from the client has begun: it is the client's turn, and the server passes over the Sync that came with the request.
            b'G' => *open = open.saturating_sub(1),
            _ => {}
        });
    }

    /// Whether an answer is due. Unknown, and therefore no, where what went by was no message.
    pub(super) fn is_open(&self) -> bool {
        self.open > 0 && !self.sent.is_lost && !self.heard.is_lost
    }
}

/// Messages in one direction: a type, a length of four bytes that counts itself, and the rest.
#[derive(Debug, Default)]
struct Messages {
    head: Vec<u8>,
    to_skip: usize,
    is_lost: bool,
}

impl Messages {
    fn read(&mut self, mut bytes: &[u8], mut on: impl FnMut(u8)) {
        while !bytes.is_empty() && !self.is_lost {
            if self.to_skip > 0 {
                let n = self.to_skip.min(bytes.len());
                self.to_skip -= n;
                bytes = bytes.get(n..).unwrap_or_default();
                continue;
            }
            let n = (5 - self.head.len()).min(bytes.len());
            let (head, rest) = bytes.split_at(n);
            self.head.extend_from_slice(head);
            bytes = rest;
            if let [kind, length @ ..] = self.head.as_slice()
                && let Ok(length) = <[u8; 4]>::try_from(length)
            {
                let length = u32::from_be_bytes(length);
                on(*kind);
                self.is_lost = !(4..=LONGEST).contains(&length);
                self.to_skip = length.saturating_sub(4) as usize;
                self.head.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).expect("short");
        [&[kind][..], &length.to_be_bytes(), body].concat()
    }

    #[test]
    fn a_copy_is_open_only_while_the_server_is_to_answer() {
        let mut exchange = Exchange::default();
        let mut expect = |sent: &[u8], heard: &[u8], is_open: bool| {
            for kind in sent {
                exchange.sent(&message(*kind, b"Sync"));
            }
            for kind in heard {
                exchange.heard(&message(*kind, b"Z"));
            }
            assert_eq!(exchange.is_open(), is_open, "{sent:?} {heard:?}");
        };
        expect(b"PDS", b"", true);
        expect(b"", b"1tnZ", false);
        expect(b"BES", b"2", true);
        expect(b"", b"G", false);
        expect(b"ddd", b"", false);
        expect(b"cS", b"", true);
        expect(b"", b"CZ", false);
        // Two requests at once, of which one is answered.
        expect(b"QQ", b"CZ", true);
        expect(b"", b"EZ", false);
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_the_count_is_the_same(
            messages in prop::collection::vec((prop::sample::select(b"QSPBEd".to_vec()), prop::collection::vec(any::<u8>(), 0..20)), 1..20),
            cuts in prop::collection::vec(1_usize..9, 1..50),
        ) {
            let bytes: Vec<u8> = messages.iter().flat_map(|(kind, body)| message(*kind, body)).collect();
            let mut exchange = Exchange::default();
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle() {
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                exchange.sent(now);
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            let wanted = messages.iter().filter(|(kind, _)| b"QS".contains(kind)).count();
            prop_assert_eq!(exchange.open as usize, wanted);
        }
    }
}
