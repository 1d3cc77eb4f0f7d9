//! JSON files as configuration knows them: with comments and trailing commas, which stay where they are.
//!
//! This finds where a value stands; it builds no tree, for a tree would not give the file back as it was.

use std::ops::Range;
use std::path::Path;

use super::{Error, Found, line_of, spliced, syntax};

/// The value at `key`, dots descending; a member whose name holds dots is preferred.
pub(super) fn find(path: &Path, text: &str, key: &str) -> Result<Option<Found>, Error> {
    let scanner = Scanner::new(path, text);
    let root = scanner.document()?;
    let Some(at) = scanner.descend(root, key)? else {
        return Ok(None);
    };
    let raw = &text[at.clone()];
    let value = if raw.starts_with('"') {
        scanner.string(&at)?
    } else if raw.starts_with(['{', '[']) {
        let problem = "it is an object or a list; name a value inside it";
        return Err(Error::Unfit {
            path: path.to_path_buf(),
            key: key.to_owned(),
            problem,
        });
    } else {
        raw.to_owned()
    };
    Ok(Some(Found { value, at }))
}

/// `value` as JSON, of the kind that stands there now.
pub(super) fn literal(path: &Path, key: &str, former: &str, value: &str) -> Result<String, Error> {
    if former.starts_with('"') || former == "null" {
        return Ok(quoted(value));
    }
    let kind = |text: &str| {
        serde_json::from_str::<serde_json::Value>(text)
            .ok()
            .map(|value| std::mem::discriminant(&value))
    };
    if kind(value).is_some() && kind(value) == kind(former) {
        return Ok(value.to_owned());
    }
    let problem =
        "the value there now is a number or a boolean, and the new one is not of that kind";
    Err(Error::Unfit {
        path: path.to_path_buf(),
        key: key.to_owned(),
        problem,
    })
}

/// The file with one member more, as the first of its object.
pub(super) fn insert(path: &Path, text: &str, key: &str, value: &str) -> Result<String, Error> {
    let scanner = Scanner::new(path, text);
    let root = scanner.document()?;
    let no_place = || Error::NoPlace {
        path: path.to_path_buf(),
        key: key.to_owned(),
    };
    let (object, name) = match key.rsplit_once('.') {
        Some((parents, name)) => (scanner.descend(root, parents)?.ok_or_else(no_place)?, name),
        None => (root, key),
    };
    if !text[object.clone()].starts_with('{') || name.is_empty() {
        return Err(no_place());
    }
    let member = format!("{}: {}", quoted(name), quoted(value));
    let after_brace = object.start + 1;
    let insertion = match scanner.members(object.clone())?.first() {
        // Indented as its neighbour is.
        Some(first) => {
            let blank = &text[after_brace..first.name.start];
            let blank = if blank.trim().is_empty() { blank } else { " " };
            format!("{blank}{member},")
        }
        None => format!(" {member} "),
    };
    Ok(spliced(text, &(after_brace..after_brace), &insertion))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// One `"name": value`.
struct Member {
    name: Range<usize>,
    value: Range<usize>,
}

/// Walks over JSON by position.
struct Scanner<'a> {
    path: &'a Path,
    text: &'a str,
}

impl<'a> Scanner<'a> {
    fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text }
    }

    /// The one value of the file; nothing but blanks and comments may follow it.
    fn document(&self) -> Result<Range<usize>, Error> {
        let start = if self.text.starts_with('\u{feff}') {
            '\u{feff}'.len_utf8()
        } else {
            0
        };
        let root = self.value(self.blank(start)?, 0)?;
        match self.blank(root.end)? {
            end if end == self.text.len() => Ok(root),
            end => Err(self.unexpected(end, "the end of the file")),
        }
    }

    fn descend(&self, object: Range<usize>, key: &str) -> Result<Option<Range<usize>>, Error> {
        if !self.text[object.clone()].starts_with('{') {
            return Ok(None);
        }
        let members = self.members(object)?;
        // The whole key first, then ever shorter beginnings of it.
        let ends = std::iter::once(key.len()).chain(key.rmatch_indices('.').map(|(at, _)| at));
        for end in ends {
            let Some(value) = self.member(&members, &key[..end])? else {
                continue;
            };
            if end == key.len() {
                return Ok(Some(value));
            }
            if let Some(found) = self.descend(value, &key[end + 1..])? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn member(&self, members: &[Member], name: &str) -> Result<Option<Range<usize>>, Error> {
        let mut found: Option<&Member> = None;
        for member in members {
            if self.string(&member.name)? != name {
                continue;
            }
            if let Some(first) = found {
                return Err(Error::Twice {
                    path: self.path.to_path_buf(),
                    key: name.to_owned(),
                    first: line_of(self.text, first.name.start),
                    second: line_of(self.text, member.name.start),
                });
            }
            found = Some(member);
        }
        Ok(found.map(|member| member.value.clone()))
    }

    fn members(&self, object: Range<usize>) -> Result<Vec<Member>, Error> {
        let mut members = Vec::new();
        self.object(object.start, 0, &mut |member| members.push(member))?;
        Ok(members)
    }

    /// The value that begins at `at`.
    fn value(&self, at: usize, depth: usize) -> Result<Range<usize>, Error> {
        const DEEPEST: usize = 128;
        if depth > DEEPEST {
            return Err(self.unexpected(at, "fewer levels"));
        }
        let end = match self.peek(at) {
            Some(b'{') => self.object(at, depth, &mut |_| {})?,
            Some(b'[') => self.list(at, depth)?,
            Some(b'"') => self.string_end(at)?,
            Some(byte) if byte.is_ascii_alphanumeric() || byte == b'-' => self.word_end(at)?,
            _ => return Err(self.unexpected(at, "a value")),
        };
        Ok(at..end)
    }

    fn object(
        &self,
        at: usize,
        depth: usize,
        found: &mut dyn FnMut(Member),
    ) -> Result<usize, Error> {
        let mut at = self.blank(at + 1)?;
        while self.peek(at) != Some(b'}') {
            let name = at..self.string_end(at)?;
            let colon = self.blank(name.end)?;
            if self.peek(colon) != Some(b':') {
                return Err(self.unexpected(colon, "`:`"));
            }
            let value = self.value(self.blank(colon + 1)?, depth + 1)?;
            at = self.after_item(value.end, b'}')?;
            found(Member { name, value });
        }
        Ok(at + 1)
    }

    fn list(&self, at: usize, depth: usize) -> Result<usize, Error> {
        let mut at = self.blank(at + 1)?;
        while self.peek(at) != Some(b']') {
            let value = self.value(at, depth + 1)?;
            at = self.after_item(value.end, b']')?;
        }
        Ok(at + 1)
    }

    /// Past the comma, or at the closing bracket.
    fn after_item(&self, at: usize, close: u8) -> Result<usize, Error> {
        let at = self.blank(at)?;
        match self.peek(at) {
            Some(b',') => self.blank(at + 1),
            Some(byte) if byte == close => Ok(at),
            _ => Err(self.unexpected(at, "`,` or the end of the object or list")),
        }
    }

    fn string_end(&self, at: usize) -> Result<usize, Error> {
        if self.peek(at) != Some(b'"') {
            return Err(self.unexpected(at, "`\"`"));
        }
        let mut escaped = false;
        for (offset, byte) in self.text.bytes().enumerate().skip(at + 1) {
            match byte {
                b'\n' => break,
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => return Ok(offset + 1),
                _ => {}
            }
        }
        Err(self.unexpected(at, "a string that ends on its line"))
    }

    fn word_end(&self, at: usize) -> Result<usize, Error> {
        let rest = &self.text[at..];
        let length = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)))
            .unwrap_or(rest.len());
        match serde_json::from_str::<serde_json::Value>(&rest[..length]) {
            Ok(_) => Ok(at + length),
            Err(_) => Err(self.unexpected(at, "a number, `true`, `false` or `null`")),
        }
    }

    fn string(&self, at: &Range<usize>) -> Result<String, Error> {
        serde_json::from_str(&self.text[at.clone()])
            .map_err(|_| self.unexpected(at.start, "a string without unknown escapes"))
    }

    /// Past blanks and comments.
    fn blank(&self, mut at: usize) -> Result<usize, Error> {
        loop {
            let rest = &self.text[at..];
            let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
            let rest = &rest[blank..];
            at += blank;
            if rest.starts_with("//") {
                at += rest.find('\n').unwrap_or(rest.len());
            } else if let Some(comment) = rest.strip_prefix("/*") {
                let length = comment
                    .find("*/")
                    .ok_or_else(|| self.unexpected(at, "the end of the comment"))?;
                at += length + "/**/".len();
            } else {
                return Ok(at);
            }
        }
    }

    fn peek(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn unexpected(&self, at: usize, expected: &str) -> Error {
        syntax(
            self.path,
            line_of(self.text, at),
            format!("not JSON: expected {expected}"),
        )
    }
}
