//! The values that stand in for `{instance}`, `{target_url}` and the like in an action's texts, and where which form of a value may stand:
//! arguments are in the process list, so no password enters them. Pure. Not in here: which texts an action has ([`super::action`]), and
//! what the session's values are (`crate::action::environment`).

use std::collections::BTreeMap;
use std::fmt;

use super::model::Instance;

/// Placeholders that follow the session: in a rehearsal they lead to the scratch database and to the copy, in the night to production.
/// Each is also a variable of the environment, as `CUTOVER_TARGET_URL`.
pub const OF_SESSION: [&str; 12] = [
    "target_url",
    "target_host",
    "target_port",
    "target_database",
    "target_user",
    "target_password",
    "runtime_url",
    "runtime_host",
    "runtime_port",
    "runtime_database",
    "runtime_user",
    "runtime_password",
];
/// The same, of the SQLite file: its path, and its `sqlite:///` URL.
pub const OF_SOURCE: [&str; 2] = ["source_file", "source_url"];
/// Placeholders that stand for the instance at hand.
pub const OF_INSTANCE: [&str; 3] = ["instance", "host", "url"];
/// Placeholders that are nothing but a password: no argument, no shell line and no address may hold them.
pub const PASSWORDS: [&str; 2] = ["target_password", "runtime_password"];

/// Names and values. Its `Debug` shows no password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Placeholders(BTreeMap<String, Value>);

/// A value; `private` is the form with the password, where that is another.
#[derive(Clone, PartialEq, Eq)]
struct Value {
    open: Option<String>,
    private: Option<String>,
}

/// Where a text stands, which decides the form of the values that enter it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// An argument or an address: anything but a password.
    Open,
    /// A line that a shell reads: as `Open`, and plain words only.
    Shell,
    /// Part of a file's path: as `Open`, and within one component unless the value is a path itself.
    Path,
    /// A variable of the environment, standard input, a header, a body, a file's content: with passwords.
    Private,
}

/// Why a value cannot stand where its placeholder is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubstitutionError {
    /// A shell would read the value as more than a word.
    #[error(
        "the value of {{{name}}} holds {character:?}, which a shell would act on; use `command:` with a list of arguments instead of `shell:`, or rename it"
    )]
    UnsafeInShell {
        name: String,
        /// The first character in the way.
        character: char,
    },
    /// The value would lead a file's path somewhere else.
    #[error(
        "the value of {{{name}}} holds a path separator or is a dot name and may not be part of a file's path"
    )]
    UnsafeInPath { name: String },
    /// The value is a password, and arguments are in the process list.
    #[error(
        "{{{name}}} is a password, which the process list would show; hand it over by `env:` or `stdin:`"
    )]
    PasswordInOpen { name: String },
}

impl fmt::Debug for Placeholders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().map(|(name, value)| (name, &value.open));
        f.debug_map().entries(shown).finish()
    }
}

impl Placeholders {
    pub fn new() -> Self {
        Self::default()
    }

    /// Those that stand for an instance: `{instance}`, `{host}`, `{url}`.
    pub fn of(instance: &Instance) -> Self {
        Self::new()
            .with("instance", instance.name())
            .with("host", &instance.host)
            .with("url", &instance.url)
    }

    /// With one more. A later value for the same name wins.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let value = Value {
            open: Some(value.into()),
            private: None,
        };
        self.0.insert(name.into(), value);
        self
    }

    /// With one more that has a form with a password. `open` is the form without; `None` where nothing is left without it.
    #[must_use]
    pub fn with_private(
        mut self,
        name: impl Into<String>,
        open: Option<String>,
        private: impl Into<String>,
    ) -> Self {
        let private = Some(private.into());
        self.0.insert(name.into(), Value { open, private });
        self
    }

    /// These, and those of `others` that have no value here.
    #[must_use]
    pub fn over(&self, others: &Placeholders) -> Placeholders {
        let mut all = others.0.clone();
        all.extend(self.0.clone());
        Placeholders(all)
    }

    /// The same without passwords: for pages that people read.
    #[must_use]
    pub fn without_passwords(&self) -> Placeholders {
        let open = self.0.iter().map(|(name, value)| {
            let open = value.open.clone().or(Some("…".to_owned()));
            let private = None;
            (name.clone(), Value { open, private })
        });
        Placeholders(open.collect())
    }

    /// Names and values with passwords, by name: for the environment of a command.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, value)| {
            let value = value.private.as_ref().or(value.open.as_ref())?;
            Some((name.as_str(), value.as_str()))
        })
    }

    /// The forms with a password, by name: what no output may show.
    pub fn private(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.private.as_deref()?)))
    }

    /// The text with every placeholder filled in, whatever the values hold, without passwords: for showing, not for a shell.
    pub fn filled(&self, text: &str) -> String {
        self.fill(text, |_, value| Ok(value.open.clone().unwrap_or_default()))
            .unwrap_or_else(|_| text.to_owned())
    }

    /// The text with every placeholder filled in, passwords too: for files that only the application and we read.
    pub fn revealed(&self, text: &str) -> String {
        self.filled_at(text, Place::Private)
            .unwrap_or_else(|_| text.to_owned())
    }

    /// The text with each placeholder's value in the form that fits the place.
    ///
    /// # Errors
    /// A value that may not stand there.
    pub fn filled_at(&self, text: &str, place: Place) -> Result<String, SubstitutionError> {
        self.fill(text, |name, value| {
            if place == Place::Private
                && let Some(private) = &value.private
            {
                return Ok(private.clone());
            }
            let Some(open) = &value.open else {
                return Err(SubstitutionError::PasswordInOpen { name: name.into() });
            };
            match place {
                Place::Shell => fits_shell(name, open)?,
                // The source's path is a path: it may be one in another action's path, too.
                Place::Path if !OF_SOURCE.contains(&name) => fits_path(name, open)?,
                Place::Open | Place::Path | Place::Private => {}
            }
            Ok(open.clone())
        })
    }

    /// Whether the text, filled in for a private place, holds a password.
    pub fn reveals(&self, text: &str) -> bool {
        let reveals = |name: &str| self.0.get(name).is_some_and(|v| v.private.is_some());
        named_in(text).any(|(name, _)| reveals(name))
    }

    /// `text` with each `{name}` that is known replaced, once: a value is never looked at again. Unknown braces stay. `{name:scheme}`
    /// is the value of a URL under another scheme.
    fn fill(
        &self,
        text: &str,
        value: impl Fn(&str, &Value) -> Result<String, SubstitutionError>,
    ) -> Result<String, SubstitutionError> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            out.push_str(&rest[..open]);
            rest = &rest[open..];
            let known = rest.find('}').and_then(|close| {
                let (name, scheme) = name_and_scheme(&rest[1..close]);
                let (name, known) = self.0.get_key_value(name)?;
                Some((close, name, known, scheme))
            });
            match known {
                Some((close, name, known, scheme)) => {
                    let filled = value(name, known)?;
                    match (scheme, filled.split_once("://")) {
                        (Some(scheme), Some((_, after))) => {
                            out.push_str(scheme);
                            out.push_str("://");
                            out.push_str(after);
                        }
                        _ => out.push_str(&filled),
                    }
                    rest = &rest[close + 1..];
                }
                None => {
                    out.push('{');
                    rest = &rest[1..];
                }
            }
        }
        out.push_str(rest);
        Ok(out)
    }
}

/// Every `{name}` and `{name:scheme}` of a text, whether a value is known for it or not.
pub fn named_in(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.match_indices('{').filter_map(|(at, _)| {
        let inner = &text[at + 1..];
        let close = inner.find('}')?;
        Some(name_and_scheme(&inner[..close]))
    })
}

/// Only URLs have a scheme that can be another: `{target_url:postgresql+psycopg}`.
fn name_and_scheme(inner: &str) -> (&str, Option<&str>) {
    let is_scheme = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"+-.:".contains(&b))
    };
    match inner.split_once(':') {
        Some((name, scheme)) if name.ends_with("_url") && is_scheme(scheme) => (name, Some(scheme)),
        _ => (inner, None),
    }
}

/// Only what no shell gives a meaning to, anywhere on a line.
pub(super) fn fits_shell(name: &str, value: &str) -> Result<(), SubstitutionError> {
    let plain = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '_' | '-' | '.' | '/' | ':' | '@' | '%' | '+' | '=' | ',')
    };
    match value.chars().find(|&c| !plain(c)) {
        Some(character) => Err(SubstitutionError::UnsafeInShell {
            name: name.to_owned(),
            character,
        }),
        None => Ok(()),
    }
}

/// Only what stays within one component of a path.
fn fits_path(name: &str, value: &str) -> Result<(), SubstitutionError> {
    if value.contains(['/', '\\', '\0']) || matches!(value, "." | "..") {
        return Err(SubstitutionError::UnsafeInPath {
            name: name.to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Placeholders {
        Placeholders::new()
            .with_private(
                "target_url",
                Some("postgres://o@h:5432/app".into()),
                "postgres://o:hunter2@h:5432/app",
            )
            .with_private("target_password", None, "hunter2")
            .with("source_file", "/srv/app.db")
    }

    #[test]
    fn no_password_stands_where_the_process_list_shows_it() {
        let values = session();
        for place in [Place::Open, Place::Shell] {
            let filled = values.filled_at("--to={target_url}", place);
            assert_eq!(filled, Ok("--to=postgres://o@h:5432/app".to_owned()));
            let name = "target_password".to_owned();
            assert_eq!(
                values.filled_at("{target_password}", place),
                Err(SubstitutionError::PasswordInOpen { name })
            );
        }
        assert_eq!(
            values.filled_at("{target_url} {target_password}", Place::Private),
            Ok("postgres://o:hunter2@h:5432/app hunter2".to_owned())
        );
        assert!(values.reveals("url={target_url:jdbc}") && !values.reveals("{source_file}"));
        assert!(!format!("{values:?}").contains("hunter2"));
    }

    #[test]
    fn a_url_can_have_another_scheme() {
        let values = session();
        assert_eq!(
            values.filled("{target_url:postgresql+psycopg}"),
            "postgresql+psycopg://o@h:5432/app"
        );
        // What is no scheme, or no URL, is left as it is.
        for text in ["{target_url:-x y}", "{source_file:x}", "{unknown_url:x}"] {
            assert_eq!(values.filled(text), text);
        }
    }

    #[test]
    fn a_value_at_hand_wins_over_the_sessions() {
        let values = Placeholders::new().with("source_file", "other");
        assert_eq!(values.over(&session()).filled("{source_file}"), "other");
    }
}
