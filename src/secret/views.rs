//! Readings of a text in which escapes are undone, each with the way back: a secret that was percent-encoded, escaped for JSON or a shell,
//! or written into HTML is found in one of them. Pure. Not in here: what is looked for (`mask`).

/// How often an escaped text may have been escaped again.
const DEPTH: usize = 2;

/// A text after its escapes were undone.
pub(super) struct View {
    /// What it reads as.
    pub bytes: Vec<u8>,
    /// For each byte, and for the end, where it begins in the original.
    at: Vec<u32>,
}

impl View {
    /// A part of this reading as a part of the original.
    pub fn back(&self, part: std::ops::Range<usize>) -> std::ops::Range<usize> {
        self.at[part.start] as usize..self.at[part.end] as usize
    }
}

/// Takes one escape off the front: what it stands for, and its length. `None` where there is none.
type Decoder = fn(&[u8]) -> Option<(Vec<u8>, usize)>;

const DECODERS: [(u8, Decoder); 3] = [(b'%', percent), (b'\\', backslash), (b'&', entity)];

/// Calls `look` with every reading that differs from the text. A text of 4 GiB or more is not read.
pub(super) fn each(text: &[u8], look: &mut dyn FnMut(&View)) {
    if u32::try_from(text.len()).is_ok() {
        deeper(text, None, 0, look);
    }
}

fn deeper(text: &[u8], from: Option<&View>, depth: usize, look: &mut dyn FnMut(&View)) {
    if depth == DEPTH {
        return;
    }
    for (mark, decoder) in DECODERS {
        if let Some(view) = undone(text, from, mark, decoder) {
            look(&view);
            deeper(&view.bytes, Some(&view), depth + 1, look);
        }
    }
}

fn undone(text: &[u8], from: Option<&View>, mark: u8, decoder: Decoder) -> Option<View> {
    memchr::memchr(mark, text)?;
    let place = |at: usize| from.map_or(at as u32, |view| view.at[at]);
    let mut view = View {
        bytes: Vec::with_capacity(text.len()),
        at: Vec::with_capacity(text.len() + 1),
    };
    let mut changed = false;
    let mut at = 0;
    while at < text.len() {
        let escape = match text[at] == mark {
            true => decoder(&text[at..]),
            false => None,
        };
        let (bytes, length) = escape.unwrap_or_else(|| (vec![text[at]], 1));
        changed |= length > 1;
        view.at.extend(bytes.iter().map(|_| place(at)));
        view.bytes.extend(bytes);
        at += length;
    }
    view.at.push(place(text.len()));
    changed.then_some(view)
}

fn percent(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    Some((vec![hex(text.get(1..3)?)? as u8], 3))
}

/// JSON's, Rust's, C's and a shell's escapes.
fn backslash(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let character = |code: u32, length| {
        let character = char::from_u32(code)?;
        Some((character.to_string().into_bytes(), length))
    };
    match *text.get(1)? {
        b'n' => Some((vec![b'\n'], 2)),
        b'r' => Some((vec![b'\r'], 2)),
        b't' => Some((vec![b'\t'], 2)),
        b'x' => match text.get(2..4).and_then(hex) {
            Some(byte) => Some((vec![byte as u8], 4)),
            None => Some((vec![b'x'], 2)),
        },
        b'u' if text.get(2) == Some(&b'{') => {
            let end = memchr::memchr(b'}', text.get(..11).unwrap_or(text))?;
            character(hex(&text[3..end])?, end + 1)
        }
        b'u' => {
            let first = text.get(2..6).and_then(hex)?;
            let second = text
                .get(6..12)
                .filter(|next| next.starts_with(b"\\u"))
                .and_then(|next| hex(&next[2..]));
            match (first, second) {
                (0xd800..0xdc00, Some(second @ 0xdc00..0xe000)) => {
                    character(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00), 12)
                }
                _ => character(first, 6),
            }
        }
        other => Some((vec![other], 2)),
    }
}

/// HTML's and XML's.
fn entity(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let end = memchr::memchr(b';', &text[..text.len().min(12)])?;
    let code = match &text[1..end] {
        b"amp" => 0x26,
        b"lt" => 0x3c,
        b"gt" => 0x3e,
        b"quot" => 0x22,
        b"apos" => 0x27,
        [b'#', b'x' | b'X', digits @ ..] => hex(digits)?,
        [b'#', digits @ ..] => std::str::from_utf8(digits).ok()?.parse().ok()?,
        _ => return None,
    };
    let character = char::from_u32(code)?;
    Some((character.to_string().into_bytes(), end + 1))
}

fn hex(digits: &[u8]) -> Option<u32> {
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).ok().filter(|_| all)?;
    u32::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        each(text.as_bytes(), &mut |view| {
            found.push(String::from_utf8_lossy(&view.bytes).into_owned());
        });
        found
    }

    #[test]
    fn every_kind_of_escape_is_undone() {
        for (escaped, read) in [
            ("a%2fb%2Fc", "a/b/c"),
            ("a%252Fb", "a/b"),
            (r#"a\"b\\c\/d\u00e9"#, r#"a"b\c/dé"#),
            (r"\ud83d\ude00", "😀"),
            (r"a\u{1b}b\x41", "a\u{1b}bA"),
            (r"a\ b\$c", "a b$c"),
            ("a&amp;b&#39;c&#x27;d&quot;", "a&b'c'd\""),
            (r"a\u0026amp;b", "a&b"),
        ] {
            assert!(readings(escaped).iter().any(|r| r == read), "{escaped}");
        }
        assert!(readings("100% of a & b").is_empty());
    }

    #[test]
    fn what_is_found_in_a_reading_is_found_in_the_text() {
        let text = "é%2Fab%2fc";
        each(text.as_bytes(), &mut |view| {
            let at = view.bytes.windows(4).position(|w| w == b"/ab/").unwrap();
            assert_eq!(&text[view.back(at..at + 4)], "%2Fab%2f");
        });
    }
}
