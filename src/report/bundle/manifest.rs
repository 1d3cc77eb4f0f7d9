//! `SHA256SUMS` of a bundle: every file and its hash, the session, the head of its chain, and a seal over the list itself.
//!
//! ```text
//! # cutover bundle 1
//! # session NAME
//! # head SEQ HASH
//! HASH  FILE              one line a file, by name; `sha256sum --check --strict SHA256SUMS` reads it
//! # seal HASH             over everything above, to the last line end
//! ```
//!
//! The seal tells a change of the list from a change of a file, and is the one number that stands for the whole bundle. Not in here:
//! what the files mean (`check`).

use std::collections::BTreeMap;

use crate::journal::{Hash, Head};
use crate::text::printable;

/// How the list is called.
pub const NAME: &str = "SHA256SUMS";
const FIRST: &str = "# cutover bundle 1";

/// The list, as it was read or is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Name of the session.
    pub session: String,
    /// The last entry of its chain.
    pub head: Head,
    /// Every file: name, hash.
    pub files: BTreeMap<String, Hash>,
}

/// A list as it was found, whole or not.
#[derive(Debug, Default)]
pub struct Found {
    /// Name of the session, where the line is legible.
    pub session: Option<String>,
    /// The head, where the line is legible.
    pub head: Option<Head>,
    /// The files of all legible lines: hash, and number of the line.
    pub files: BTreeMap<String, (Hash, usize)>,
    /// What the list's own seal should be.
    pub seal: Option<Hash>,
    /// Whether the seal is that of the list.
    pub is_sealed: bool,
    /// How many lines it has.
    pub lines: usize,
    /// Lines that are not as a list has them: number, and what is wrong.
    pub wrong: Vec<(usize, String)>,
}

impl Manifest {
    /// The text, and the seal.
    pub fn text(&self) -> (String, Hash) {
        let mut text = format!(
            "{FIRST}\n# session {}\n# head {} {}\n",
            self.session, self.head.seq, self.head.hash
        );
        for (name, hash) in &self.files {
            text.push_str(&format!("{hash}  {name}\n"));
        }
        let seal = Hash::of(text.as_bytes());
        text.push_str(&format!("# seal {seal}\n"));
        (text, seal)
    }
}

/// Whether a file of this name can stand in a list: a plain path of at most two parts.
pub fn can_list(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    let plain = |part: &&str| !part.is_empty() && *part != "." && *part != "..";
    parts.len() <= 2
        && parts.iter().all(plain)
        && !name.contains('\\')
        && printable(name, name.len()) == name
}

/// Reads a list; what is wrong with it is told by line.
pub fn read(bytes: &[u8]) -> Found {
    let lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
    let mut found = Found {
        lines: lines.len(),
        ..Found::default()
    };
    let mut before = 0;
    let mut last_name = String::new();
    for (n, line) in lines.iter().enumerate() {
        let number = n + 1;
        let is_last = number == lines.len();
        match legible(line) {
            None => found.wrong.push((number, "is not a line of text".into())),
            Some(text) => read_line(&mut found, number, is_last, text, &mut last_name),
        }
        if !is_last {
            before += line.len();
        }
    }
    let seal = Hash::of(&bytes[..before]);
    found.is_sealed = found.seal == Some(seal) && found.wrong.is_empty();
    if lines.len() < 4 && found.wrong.is_empty() {
        found
            .wrong
            .push((lines.len(), "is the last one; the list is cut".into()));
    }
    found
}

fn legible(line: &[u8]) -> Option<&str> {
    std::str::from_utf8(line).ok()?.strip_suffix('\n')
}

fn read_line(found: &mut Found, number: usize, is_last: bool, text: &str, last_name: &mut String) {
    let mut wrong = |what: &str| found.wrong.push((number, what.to_owned()));
    if is_last {
        match text.strip_prefix("# seal ").and_then(|h| h.parse().ok()) {
            Some(seal) => found.seal = Some(seal),
            None => wrong("is not a seal, which the last line is"),
        }
        return;
    }
    match number {
        1 if text == FIRST => {}
        1 => wrong("is not the first line of a bundle of this version"),
        2 => match text.strip_prefix("# session ") {
            Some(session) => found.session = Some(session.to_owned()),
            None => wrong("does not name the session"),
        },
        3 => match head(text) {
            Some(head) => found.head = Some(head),
            None => wrong("does not name the head of the chain"),
        },
        _ => match file(text) {
            Some((hash, name)) if *name > **last_name => {
                name.clone_into(last_name);
                found.files.insert(name.to_owned(), (hash, number));
            }
            Some(_) => wrong("is out of order"),
            None => wrong("is not a hash and a file"),
        },
    }
}

fn head(text: &str) -> Option<Head> {
    let (seq, hash) = text.strip_prefix("# head ")?.split_once(' ')?;
    let number: u64 = seq.parse().ok()?;
    (number.to_string() == seq).then_some(())?;
    Some(Head {
        seq: number,
        hash: hash.parse().ok()?,
    })
}

fn file(text: &str) -> Option<(Hash, &str)> {
    let (hash, name) = text.split_once("  ")?;
    can_list(name).then_some((hash.parse().ok()?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_and_names_the_line_that_is_not_one() {
        let manifest = Manifest {
            session: "tonight".into(),
            head: Head {
                seq: 7,
                hash: Hash::of(b"head"),
            },
            files: [("a", b"1"), ("output/b c", b"2")]
                .map(|(name, bytes)| (name.to_owned(), Hash::of(bytes)))
                .into(),
        };
        let (text, seal) = manifest.text();
        let found = read(text.as_bytes());
        assert!(found.is_sealed, "{:?}", found.wrong);
        assert_eq!(found.seal, Some(seal));
        assert_eq!(found.files["output/b c"], (Hash::of(b"2"), 5));
        for line in 1..=6 {
            let broken: Vec<String> = text
                .lines()
                .enumerate()
                .map(|(n, l)| {
                    if n + 1 == line {
                        "x".into()
                    } else {
                        l.to_owned()
                    }
                })
                .collect();
            let found = read(format!("{}\n", broken.join("\n")).as_bytes());
            assert!(!found.is_sealed);
            assert_eq!(found.wrong.len(), 1, "{:?}", found.wrong);
            assert_eq!(found.wrong[0].0, line);
        }
        assert!(!read(b"").is_sealed && !read(b"").wrong.is_empty());
        assert!(!read(b"\n").is_sealed && !read(b"\n").wrong.is_empty());
    }

    #[test]
    fn names_that_lead_elsewhere_are_not_listed() {
        for name in [
            "", "../a", "a/../b", "/a", "a/b/c", "a\nb", "a\\b", "./a", "a//b",
        ] {
            assert!(!can_list(name), "{name:?}");
        }
        assert!(can_list("preserved/log-1-post gresql.log"));
    }
}
