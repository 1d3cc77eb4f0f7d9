//! The chain as text, one line an entry, so that it can be carried away and checked by anybody's program.
//!
//! A line is `{"hash":"H","entry":E}`: `E` is the entry's canonical form (see [`super::canonical`]), character for character, and `H`
//! the SHA-256 of exactly those characters. `E` names the hash of the line before as `previous`.
//!
//! Not in here: where the text lies (`report::bundle`).

use serde::Deserialize;
use serde_json::Value;

use super::canonical::{self, Hash, Link};
pub use super::chain::Verified;
use super::chain::{Chain, Damage, Stored};
use super::head::Head;
use super::record::Entry;

const BEFORE_HASH: &str = "{\"hash\":\"";
const BEFORE_ENTRY: &str = "\",\"entry\":";

/// The chain of these entries as lines, each with its line end.
///
/// # Panics
/// The entries are not a whole chain: a follower gives out none that is not.
pub fn write(entries: &[Entry]) -> String {
    let mut text = String::new();
    let mut previous = Hash::ZERO;
    for entry in entries {
        let (wall, body) = (
            canonical::wall_text(entry.wall),
            canonical::json(&entry.body),
        );
        let link = Link {
            previous,
            seq: entry.seq,
            fencing: entry.fencing,
            at_ms: entry.at_ms,
            wall: &wall,
            kind: &entry.kind,
            body: &body,
        };
        let canonical = link.canonical();
        assert_eq!(
            Hash::of(canonical.as_bytes()),
            entry.hash,
            "BUG: entry {} is not in its canonical form",
            entry.seq
        );
        text.push_str(&line(entry.hash, &canonical));
        text.push('\n');
        previous = entry.hash;
    }
    text
}

fn line(hash: Hash, canonical: &str) -> String {
    format!("{BEFORE_HASH}{hash}{BEFORE_ENTRY}{canonical}}}")
}

/// Reads lines back and checks every link. A damage at entry N is one of line N.
///
/// # Errors
/// The first place that does not hold.
pub fn read(text: &[u8]) -> Result<Verified, Damage> {
    let lines: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').collect();
    let mut chain = Chain::default();
    let mut entries = Vec::with_capacity(lines.len());
    for (n, line) in lines.iter().enumerate() {
        let seq = n as u64 + 1;
        let stored = stored(line).ok_or(Damage::Content { seq })?;
        let entry = chain
            .accept(&stored)
            .map_err(|damage| closer(&lines, seq, &stored, damage))?;
        entries.push(entry);
    }
    Ok(Verified {
        entries,
        head: chain.tail,
    })
}

/// Checks that a chain ends with the head that somebody names beside it.
///
/// # Errors
/// [`Damage::Truncated`], [`Damage::BeyondHead`] or [`Damage::HeadDiffers`].
pub fn check_head(verified: &Verified, named: Head) -> Result<(), Damage> {
    let (last_seq, head_seq) = (verified.head.seq, named.seq);
    match last_seq.cmp(&head_seq) {
        std::cmp::Ordering::Less => Err(Damage::Truncated { last_seq, head_seq }),
        std::cmp::Ordering::Greater => Err(Damage::BeyondHead { last_seq, head_seq }),
        std::cmp::Ordering::Equal if verified.head.hash != named.hash => {
            Err(Damage::HeadDiffers { seq: head_seq })
        }
        std::cmp::Ordering::Equal => Ok(()),
    }
}

/// The line at which a damage shows.
pub fn place(damage: &Damage) -> u64 {
    match damage {
        Damage::Content { seq }
        | Damage::HashColumn { seq }
        | Damage::Rewritten { seq }
        | Damage::Order { seq, .. }
        | Damage::Missing { seq }
        | Damage::Fencing { seq }
        | Damage::HeadDiffers { seq }
        | Damage::SealDiffers { seq } => *seq,
        Damage::Truncated { last_seq, .. } => last_seq + 1,
        Damage::BeyondHead { head_seq, .. } => head_seq + 1,
        Damage::HeadMissing { last_seq } => *last_seq,
        Damage::Extra { .. } | Damage::HeadUnreadable { .. } | Damage::File { .. } => 1,
    }
}

/// Tells apart what the numbers alone cannot: a line that is gone and one that lies elsewhere.
fn closer(lines: &[&[u8]], seq: u64, stored: &Stored, damage: Damage) -> Damage {
    if stored.link(stored.previous, stored.seq).hash() != stored.hash {
        return Damage::Content { seq };
    }
    match damage {
        Damage::Missing { seq } if lines.iter().filter_map(|l| number(l)).any(|n| n == seq) => {
            Damage::Order {
                seq,
                found: stored.seq,
            }
        }
        // A line of before, once more.
        Damage::Rewritten { .. } | Damage::Content { .. } if stored.seq < seq => Damage::Order {
            seq,
            found: stored.seq,
        },
        damage => damage,
    }
}

fn number(line: &[u8]) -> Option<u64> {
    Some(stored(line)?.seq)
}

/// What a line says; `None` where it is not, to the character, a line that [`write`] makes.
fn stored(line: &[u8]) -> Option<Stored> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Fields {
        at_ms: i64,
        body: Value,
        fencing: u64,
        format: u32,
        kind: String,
        previous: Hash,
        seq: u64,
        wall: String,
    }
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let rest = line.strip_prefix(BEFORE_HASH)?;
    let (hash, rest) = rest.split_at_checked(64)?;
    let canonical = rest.strip_prefix(BEFORE_ENTRY)?.strip_suffix('}')?;
    let fields: Fields = serde_json::from_str(canonical).ok()?;
    let stored = Stored {
        seq: fields.seq,
        fencing: fields.fencing,
        at_ms: fields.at_ms,
        wall: fields.wall,
        kind: fields.kind,
        body: canonical::json(&fields.body),
        previous: fields.previous,
        hash: hash.parse().ok()?,
    };
    let same = fields.format == canonical::FORMAT
        && stored.link(stored.previous, stored.seq).canonical() == canonical;
    same.then_some(stored)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chain(count: u64) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        let wall = "2026-03-01T02:00:00.123Z".parse().expect("a time");
        for seq in 1..=count {
            let previous = entries.last().map_or(Hash::ZERO, |e| e.hash);
            let body = json!({"text": format!("é\n{seq}"), "ratio": 0.1, "by": null});
            let text = canonical::json(&body);
            let link = Link {
                previous,
                seq,
                fencing: 1,
                at_ms: seq as i64 * 10,
                wall: &canonical::wall_text(wall),
                kind: "note_written",
                body: &text,
            };
            entries.push(Entry {
                seq,
                fencing: 1,
                at_ms: seq as i64 * 10,
                wall,
                kind: "note_written".into(),
                hash: link.hash(),
                body,
            });
        }
        entries
    }

    fn damage(text: &[u8]) -> Option<Damage> {
        read(text).err()
    }

    #[test]
    fn reads_back_what_was_written() {
        let entries = chain(4);
        let text = write(&entries);
        assert_eq!(text.lines().count(), 4);
        let verified = read(text.as_bytes()).expect("sound");
        assert_eq!(verified.entries, entries);
        assert_eq!(check_head(&verified, verified.head), Ok(()));
        // Anybody's program: the characters after `"entry":` are what was hashed.
        for (line, entry) in text.lines().zip(&entries) {
            let canonical = &line[BEFORE_HASH.len() + 64 + BEFORE_ENTRY.len()..line.len() - 1];
            assert_eq!(Hash::of(canonical.as_bytes()), entry.hash);
        }
    }

    #[test]
    fn every_flipped_bit_is_found_in_its_line() {
        let text = write(&chain(4)).into_bytes();
        let mut line = 1;
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut changed = text.clone();
                changed[at] ^= 1 << bit;
                let found = damage(&changed);
                let Some(Damage::Content { seq } | Damage::HashColumn { seq }) = found else {
                    panic!("byte {at}, bit {bit}: {found:?}");
                };
                assert_eq!(seq, line, "byte {at}, bit {bit}");
            }
            line += u64::from(text[at] == b'\n');
        }
    }

    #[test]
    fn lines_that_go_come_or_move_are_found() {
        let text = write(&chain(5));
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let of = |order: &[usize]| order.iter().map(|&n| lines[n - 1]).collect::<String>();
        for (order, expected) in [
            (vec![1, 2, 4, 3, 5], Damage::Order { seq: 3, found: 4 }),
            (vec![1, 2, 4, 5], Damage::Missing { seq: 3 }),
            (vec![2, 3, 4, 5], Damage::Missing { seq: 1 }),
            (vec![1, 2, 3, 3, 4, 5], Damage::Order { seq: 4, found: 3 }),
            (vec![1, 2, 3, 4, 5, 1], Damage::Order { seq: 6, found: 1 }),
        ] {
            assert_eq!(
                damage(of(&order).as_bytes()),
                Some(expected),
                "lines {order:?}"
            );
        }
        let head = read(text.as_bytes()).expect("sound").head;
        let shorter = read(of(&[1, 2, 3]).as_bytes()).expect("sound in itself");
        assert_eq!(
            check_head(&shorter, head),
            Err(Damage::Truncated {
                last_seq: 3,
                head_seq: 5
            })
        );
        assert_eq!(
            damage(&text.as_bytes()[..text.len() - 1]),
            Some(Damage::Content { seq: 5 })
        );
    }
}
