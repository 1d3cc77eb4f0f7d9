//! Passwords in connection strings: found, to be learnt, and hidden where nobody has learnt them. Pure. Not in here: what a connection
//! string means (`target`).

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::bytes::{Captures, Regex};

use super::forms::percent_decoded;

/// What stands in the place of a password.
pub(super) const HIDDEN: &str = "***";

/// A password, and whom it lets in where that is known.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Password {
    /// As it stands in its URL, encoded or not.
    pub value: String,
    /// The user before it; empty where that is not known.
    pub user: String,
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Password(of {:?})", self.user)
    }
}

impl Password {
    /// One that is not known to belong to anybody.
    pub fn alone(value: String) -> Password {
        Password {
            value,
            user: String::new(),
        }
    }
}

/// Everything between `://` and the end of a URL that stands in a text.
fn rest_of_urls(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("://").map(move |(at, lead)| {
        let rest = &text[at + lead.len()..];
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '`' | '<' | '>'));
        &rest[..end.unwrap_or(rest.len())]
    })
}

/// The passwords in every URL and every `password=…` of a text. A URL whose password holds `/`, `?`, `#` or `@` as they are is read up to
/// its last `@`.
pub fn passwords_in(text: &str) -> Vec<Password> {
    let mut found = Vec::new();
    for rest in rest_of_urls(text) {
        let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
        let login = match authority.rfind('@') {
            // One password may hold an `@` and what ends an authority: then the longer reading hides more.
            Some(at) if rest[authority.len()..].contains('@') && !is_port(&rest[at + 1..]) => {
                found.extend(password_of(&authority[..at]));
                rest.rfind('@').map_or(authority, |at| &rest[..at])
            }
            Some(at) => &authority[..at],
            None => match rest.rfind('@') {
                Some(at) if !is_port(after_colon(rest)) => &rest[..at],
                _ => continue,
            },
        };
        found.extend(password_of(login));
    }
    found.extend(PARAMETER.captures_iter(text.as_bytes()).filter_map(|part| {
        if is_placeholder(&part, text.as_bytes()) {
            return None;
        }
        let value = String::from_utf8_lossy(&part[2]);
        let value = value.trim_matches('\'');
        let known = value.starts_with("${") || value == HIDDEN;
        (!known && !value.is_empty()).then(|| Password::alone(value.to_owned()))
    }));
    found
}

/// `user:password` taken apart; a password that is a `${NAME}` or hidden already is none.
fn password_of(login: &str) -> Option<Password> {
    let (user, value) = login.split_once(':')?;
    let known = value.is_empty() || value.starts_with("${") || value == HIDDEN;
    (!known).then(|| Password {
        value: value.to_owned(),
        user: percent_decoded(user).unwrap_or_else(|| user.to_owned()),
    })
}

fn after_colon(rest: &str) -> &str {
    rest.split_once(':').map_or("", |(_, after)| after)
}

/// Whether `host:8080/a@b` goes on with a port rather than with a password.
fn is_port(after: &str) -> bool {
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    (1..=5).contains(&digits) && matches!(after.as_bytes().get(digits), None | Some(b'/'))
}

/// Whether a URL in the text, or a `password=…`, has a password.
pub fn has_password(text: &str) -> bool {
    !passwords_in(text).is_empty()
}

static LOGIN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(://[^/@\s:"'`<>\\]*:)([^@\s"'`<>\\,}]+)@"#).expect("BUG: a constant pattern")
});

static PARAMETER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?i)(\b(?:pg)?password=)('(?:[^'\\]|\\.)*'|[^\s"'`,;}&<>\\]+)"#)
        .expect("BUG: a constant pattern")
});

/// The text without any password that stands in a URL or in libpq's `password=…`, whether or not it is known.
pub fn without_passwords(text: &str) -> Cow<'_, str> {
    match without_passwords_in_bytes(text.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

pub(super) fn without_passwords_in_bytes(text: &[u8]) -> Cow<'_, [u8]> {
    let urls = match memchr::memmem::find(text, b"://").is_some() {
        true => hidden(&LOGIN, text),
        false => Cow::Borrowed(text),
    };
    match hidden(&PARAMETER, &urls) {
        Cow::Borrowed(_) => urls,
        Cow::Owned(bytes) => Cow::Owned(bytes),
    }
}

fn hidden<'t>(pattern: &Regex, text: &'t [u8]) -> Cow<'t, [u8]> {
    let stays = |part: &Captures<'_>| {
        if is_placeholder(part, text) {
            return true;
        }
        let is_url = part[1].starts_with(b"://");
        let value = String::from_utf8_lossy(&part[2]);
        value.starts_with("${") || value == HIDDEN || is_url && is_port(&format!("{value}"))
    };
    if pattern.captures_iter(text).all(|part| stays(&part)) {
        return Cow::Borrowed(text);
    }
    pattern.replace_all(text, |part: &Captures<'_>| {
        if stays(part) {
            return part[0].to_vec();
        }
        let end: &[u8] = if part[1].starts_with(b"://") {
            b"@"
        } else {
            b""
        };
        [&part[1], HIDDEN.as_bytes(), end].concat()
    })
}

/// Whether what stands in the place of a password is a whole placeholder, such as `{runtime_password}`: the name of one, and none.
fn is_placeholder(part: &Captures<'_>, text: &[u8]) -> bool {
    let Some(value) = part.get(2) else {
        return false;
    };
    // The brace that closes it ends the value.
    let is_closed = text.get(value.end()) == Some(&b'}');
    let name = value.as_bytes().strip_prefix(b"{").unwrap_or_default();
    let is_name = |byte: &u8| byte.is_ascii_lowercase() || *byte == b'_';
    is_closed && !name.is_empty() && name.iter().all(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_hidden_and_ports_are_not() {
        for (text, hidden) in [
            ("postgres://app:hunter2@db/x", "postgres://app:***@db/x"),
            (
                "postgres://app:1x345@db:5432/x",
                "postgres://app:***@db:5432/x",
            ),
            (
                "http://127.0.0.1:8080/health",
                "http://127.0.0.1:8080/health",
            ),
            ("http://127.0.0.1:8080/@me", "http://127.0.0.1:8080/@me"),
            (
                "host=db password=hunter2 user=a",
                "host=db password=*** user=a",
            ),
            ("password='a b' user=a", "password=*** user=a"),
            (
                "postgres://h/d?password=hunter2&x=1",
                "postgres://h/d?password=***&x=1",
            ),
            ("postgres://app:${PW}@db/x", "postgres://app:${PW}@db/x"),
            ("postgres://a:p/w?x#y@db/x", "postgres://a:***@db/x"),
            (
                "the password: may not be empty",
                "the password: may not be empty",
            ),
            ("PGPASSWORD=hunter2 psql", "PGPASSWORD=*** psql"),
            (
                "PGPASSWORD={runtime_password} psql",
                "PGPASSWORD={runtime_password} psql",
            ),
            ("PGPASSWORD={hunter psql", "PGPASSWORD=*** psql"),
            ("PGPASSWORD={Hunter2} psql", "PGPASSWORD=***} psql"),
        ] {
            assert_eq!(without_passwords(text), hidden);
        }
    }

    #[test]
    fn passwords_are_found_however_they_are_written() {
        let values = |text: &str| {
            let found = passwords_in(text).into_iter();
            found.map(|found| found.value).collect::<Vec<_>>()
        };
        assert_eq!(values("postgres://u:p%2Fw@h/db"), ["p%2Fw"]);
        assert_eq!(values("--target=postgres://u:p/w@h/db"), ["p/w"]);
        assert_eq!(values("postgres://u:p?w#x@h/db"), ["p?w#x"]);
        assert_eq!(values("postgres://u:p@s/w@h/db"), ["p", "p@s/w"]);
        assert_eq!(values("http://u:one@h http://v:two@h"), ["one", "two"]);
        assert_eq!(values("postgres://h/db?user=a&password=xyz"), ["xyz"]);
        assert!(values("http://h:80/a@b postgres://u@h/db").is_empty());
    }
}
