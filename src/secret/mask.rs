//! Hides secrets in texts, bytes and JSON. Pure. Not in here: which secrets there are, and where text goes out (`super`).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use aho_corasick::AhoCorasick;
use serde_json::Value;

use super::passwords::{HIDDEN, without_passwords_in_bytes};
use super::{MIN_BYTES, Secret, forms, views};

/// No secret is shorter, in whatever form.
const SHORTEST_BYTES: usize = 4;

/// Longer bytes are taken in pieces, which end where a line ends.
const PIECE_BYTES: usize = 64 << 10;
/// An escape of one byte is no longer than this: `\u{41}`, `%2541`, `&amp;#39;`.
const LONGEST_ESCAPE: usize = 9;
/// Passwords that are words of this product or of its trade. Hidden where they let somebody in, and nowhere else.
const WORDS: &[&str] = &[
    "cutover",
    "database",
    "localhost",
    "password",
    "postgres",
    "postgresql",
    "production",
    "rollback",
    "secret",
    "sqlite",
    "staging",
];
/// What stands where text was cut off.
const CUT: &str = "…";

/// What is looked for, and what stands in its place.
#[derive(Debug, Default)]
pub struct Mask {
    search: Option<AhoCorasick>,
    forms: Vec<Form>,
    plain: BTreeSet<String>,
}

struct Form {
    bytes: Vec<u8>,
    /// The part of it that is secret.
    hide: Range<usize>,
    label: String,
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Form({})", self.label)
    }
}

impl Mask {
    /// A mask for these secrets. `plain` are texts that stay where they are the whole of a field.
    pub fn new(secrets: &BTreeSet<Secret>, plain: &BTreeSet<String>) -> Mask {
        let mut found: BTreeMap<Vec<u8>, (Range<usize>, String)> = BTreeMap::new();
        // A name says more than `***`: what is listed comes first and stays.
        for secret in secrets {
            let (value, label) = match secret {
                Secret::Listed { name, value } => (value, format!("${{{name}}}")),
                Secret::Password(password) => (&password.value, HIDDEN.to_owned()),
            };
            if let Secret::Password(password) = secret
                && !is_hidden_alone(password, plain)
            {
                let (bytes, hide) = in_its_place(password);
                found.entry(bytes).or_insert((hide, label));
                continue;
            }
            for form in forms::of(value) {
                let whole = 0..form.len();
                found.entry(form).or_insert((whole, label.clone()));
            }
        }
        let forms: Vec<Form> = found
            .into_iter()
            .map(|(bytes, (hide, label))| Form { bytes, hide, label })
            .collect();
        let search = match forms.is_empty() {
            true => None,
            false => Some(
                AhoCorasick::new(forms.iter().map(|form| &form.bytes))
                    .expect("BUG: more secrets than an automaton holds"),
            ),
        };
        Mask {
            search,
            forms,
            plain: plain.clone(),
        }
    }

    /// The text without secrets.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(bytes) => Cow::Owned(match String::from_utf8(bytes) {
                Ok(text) => text,
                Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            }),
        }
    }

    /// The bytes without secrets.
    pub fn bytes<'t>(&self, bytes: &'t [u8]) -> Cow<'t, [u8]> {
        // Nothing shorter can hold a secret in any form, and a flood of output is many short lines.
        if bytes.len() < SHORTEST_BYTES {
            return Cow::Borrowed(bytes);
        }
        if bytes.len() <= PIECE_BYTES {
            return self.piece(bytes);
        }
        let mut out = Vec::new();
        let mut changed = false;
        let mut rest = bytes;
        while !rest.is_empty() {
            let from = PIECE_BYTES.min(rest.len());
            let end = memchr::memchr(b'\n', &rest[from..]).map_or(rest.len(), |at| from + at + 1);
            let piece = self.piece(&rest[..end]);
            changed |= matches!(piece, Cow::Owned(_));
            out.extend_from_slice(&piece);
            rest = &rest[end..];
        }
        match changed {
            true => Cow::Owned(out),
            false => Cow::Borrowed(bytes),
        }
    }

    /// How many bytes at the end of an unfinished text may be the beginning of a secret.
    pub fn held_back_bytes(&self) -> usize {
        let longest = self.forms.iter().map(|form| form.bytes.len()).max();
        longest.unwrap_or(0) * LONGEST_ESCAPE
    }

    /// A text that is a field of its own.
    pub(super) fn field<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let is_hash = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_secret = || self.forms.iter().any(|form| form.bytes == text.as_bytes());
        if self.plain.contains(text) || is_hash && !is_secret() {
            return Cow::Borrowed(text);
        }
        self.text(text)
    }

    /// See [`super::mask_json`].
    pub(super) fn json(&self, value: &mut Value, reads: impl Fn(&Value) -> bool) {
        let fields = count(value);
        let mut all = value.clone();
        if !self.fields(&mut all, &mut 0, &|_| true) {
            return;
        }
        if reads(&all) {
            *value = all;
            return;
        }
        // One field after the other, but those with which it no longer reads.
        let mut hidden = BTreeSet::new();
        for n in 0..fields {
            hidden.insert(n);
            let mut tried = value.clone();
            self.fields(&mut tried, &mut 0, &|n| hidden.contains(&n));
            if !reads(&tried) {
                hidden.remove(&n);
            }
        }
        self.fields(value, &mut 0, &|n| hidden.contains(&n));
    }

    /// Hides in the fields that are `wanted` by their number; whether anything was hidden.
    fn fields(&self, value: &mut Value, n: &mut usize, wanted: &dyn Fn(usize) -> bool) -> bool {
        let mut hide = |text: &mut String| {
            *n += 1;
            let masked = match self.field(text) {
                Cow::Owned(masked) if wanted(*n - 1) => masked,
                _ => return false,
            };
            let changed = masked != *text;
            *text = masked;
            changed
        };
        match value {
            Value::String(text) => hide(text),
            Value::Array(items) => {
                let changes = items.iter_mut().map(|item| self.fields(item, n, wanted));
                changes.fold(false, |any, one| any | one)
            }
            Value::Object(members) => {
                let mut any = false;
                let taken = std::mem::take(members);
                for (mut name, mut item) in taken {
                    let mut hide_name = |text: &mut String| {
                        *n += 1;
                        match self.field(text) {
                            Cow::Owned(masked) if wanted(*n - 1) => {
                                let changed = masked != *text;
                                *text = masked;
                                changed
                            }
                            _ => false,
                        }
                    };
                    any |= hide_name(&mut name);
                    any |= self.fields(&mut item, n, wanted);
                    members.insert(name, item);
                }
                any
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    fn piece<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let hidden = self.hidden(text);
        if hidden.is_empty() {
            return without_passwords_in_bytes(text);
        }
        let mut out = Vec::with_capacity(text.len());
        let mut at = 0;
        for (part, form) in hidden {
            out.extend_from_slice(&text[at..part.start]);
            out.extend_from_slice(self.forms[form].label.as_bytes());
            at = part.end;
        }
        out.extend_from_slice(&text[at..]);
        Cow::Owned(without_passwords_in_bytes(&out).into_owned())
    }

    /// The parts of a text that hold secrets, in order and apart from each other, with the form that says what stands there.
    fn hidden(&self, text: &[u8]) -> Vec<(Range<usize>, usize)> {
        let Some(search) = &self.search else {
            return Vec::new();
        };
        let mut found: Vec<(Range<usize>, usize)> = Vec::new();
        let part = |at: &aho_corasick::Match| {
            let hide = &self.forms[at.pattern().as_usize()].hide;
            at.start() + hide.start..at.start() + hide.end
        };
        for at in search.find_overlapping_iter(text) {
            found.push((part(&at), at.pattern().as_usize()));
        }
        views::each(text, &mut |view| {
            for at in search.find_overlapping_iter(&view.bytes) {
                found.push((view.back(part(&at)), at.pattern().as_usize()));
            }
        });
        self.cut_off(text, &mut found);
        found.sort_by_key(|(part, _)| (part.start, std::cmp::Reverse(part.end)));
        let mut apart: Vec<(Range<usize>, usize)> = Vec::new();
        for (part, form) in found {
            match apart.last_mut() {
                Some((last, _)) if part.start < last.end => last.end = last.end.max(part.end),
                _ => apart.push((part, form)),
            }
        }
        apart
    }

    /// Where text was cut off within a secret, what is left of the secret.
    fn cut_off(&self, text: &[u8], found: &mut Vec<(Range<usize>, usize)>) {
        for at in memchr::memmem::find_iter(text, CUT) {
            let (before, after) = (&text[..at], &text[at + CUT.len()..]);
            for (n, form) in self.forms.iter().enumerate() {
                let lengths = || (MIN_BYTES..form.bytes.len()).rev();
                let begun = lengths().find(|&len| before.ends_with(&form.bytes[..len]));
                found.extend(begun.map(|len| (at - len..at, n)));
                let from = at + CUT.len();
                let ended =
                    lengths().find(|&len| after.starts_with(&form.bytes[form.bytes.len() - len..]));
                found.extend(ended.map(|len| (from..from + len, n)));
            }
        }
    }
}

fn count(value: &Value) -> usize {
    match value {
        Value::String(_) => 1,
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(|item| 1 + count(item)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// Whether a password is hidden wherever it stands. One that is short, or is a word that is shown anyway, would take the text with it.
pub(super) fn is_hidden_alone(password: &super::Password, plain: &BTreeSet<String>) -> bool {
    let value = password.value.as_str();
    value.len() >= MIN_BYTES
        && value != password.user
        && !WORDS.contains(&value.to_ascii_lowercase().as_str())
        && !plain.contains(value)
}

/// A password behind its user, as in a URL.
fn in_its_place(password: &super::Password) -> (Vec<u8>, Range<usize>) {
    let value = forms::percent_decoded(&password.value);
    let value = value.as_deref().unwrap_or(&password.value);
    let from = password.user.len() + 1;
    let bytes = format!("{}:{value}@", password.user).into_bytes();
    (bytes, from..from + value.len())
}

#[cfg(test)]
#[path = "mask/tests.rs"]
mod tests;
