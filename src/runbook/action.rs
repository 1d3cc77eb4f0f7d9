//! What a runbook may tell us to run: a command, a shell line, a request, a file. Plain data, and how placeholders enter it.
//!
//! Nothing is run in here ([`crate::action`] does that) and no YAML is read. A command is a list of arguments that no shell
//! ever sees; only [`Effect::Shell`] is read by one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::model::Instance;

/// One thing to do, and how long it may take before it counts as failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// What is done.
    pub effect: Effect,
    /// After this much time it is ended and has failed. Never scaled by the sandbox's speed.
    pub time_limit: Duration,
}

/// The kinds of thing a runbook can ask for.
#[derive(Clone, PartialEq, Eq)]
pub enum Effect {
    /// A program and its arguments, run without a shell.
    Command {
        /// The program first; looked up in `PATH` unless it holds a slash.
        argv: Vec<String>,
    },
    /// A line for `/bin/sh -c`. Placeholder values that a shell could read as anything but a plain word are refused.
    Shell {
        /// The line.
        line: String,
    },
    /// An HTTP request.
    Http {
        /// `GET`, `POST`, …
        method: String,
        /// Absolute, `http` or `https`.
        url: String,
        /// Name and value. Values may be secrets and are never shown.
        headers: Vec<(String, String)>,
        /// Sent as it is.
        body: Option<String>,
        /// The answers that count as success; empty means any 2xx.
        expect_status: Vec<u16>,
    },
    /// Create or replace a file, at once and completely.
    WriteFile {
        /// Absolute, or relative to the runbook's folder and then without `..`.
        path: PathBuf,
        /// All of it.
        content: String,
    },
    /// Remove a file; one that is already gone is fine.
    RemoveFile {
        /// As in `WriteFile`.
        path: PathBuf,
    },
}

/// The values that stand in for `{instance}`, `{host}`, `{url}` and whatever else a step offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placeholders(BTreeMap<String, String>);

/// Why a value cannot stand where its placeholder is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubstitutionError {
    /// A shell would read the value as more than a word.
    #[error(
        "the value of {{{name}}} holds {character:?}, which a shell would act on; use `command:` with a list of arguments instead of `shell:`, or rename it"
    )]
    UnsafeInShell {
        /// The placeholder.
        name: String,
        /// The first character in the way.
        character: char,
    },
    /// The value would lead a file's path somewhere else.
    #[error(
        "the value of {{{name}}} holds a path separator or is a dot name and may not be part of a file's path"
    )]
    UnsafeInPath {
        /// The placeholder.
        name: String,
    },
}

impl Placeholders {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Those that stand for an instance: `{instance}`, `{host}`, `{url}`.
    pub fn of(instance: &Instance) -> Self {
        Self::new()
            .with("instance", &instance.id)
            .with("host", &instance.host)
            .with("url", &instance.url)
    }

    /// The text with every placeholder filled in, whatever the values hold: for showing, not for a shell.
    pub fn filled(&self, text: &str) -> String {
        let shown = self.fill(text, |_, _| Ok(()));
        shown.unwrap_or_else(|_| text.to_owned())
    }

    /// With one more. A later value for the same name wins.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// `text` with each `{name}` that is known replaced, once: a value is never looked at again. Unknown braces stay.
    fn fill(
        &self,
        text: &str,
        fits: impl Fn(&str, &str) -> Result<(), SubstitutionError>,
    ) -> Result<String, SubstitutionError> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            out.push_str(&rest[..open]);
            rest = &rest[open..];
            let known = rest
                .find('}')
                .and_then(|close| Some((close, self.0.get_key_value(&rest[1..close])?)));
            match known {
                Some((close, (name, value))) => {
                    fits(name, value)?;
                    out.push_str(value);
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

impl Action {
    /// Whether it is another for each instance: it is a command that names one.
    pub fn is_per_instance(&self) -> bool {
        let texts = match &self.effect {
            Effect::Command { argv } => argv.as_slice(),
            Effect::Shell { line } => std::slice::from_ref(line),
            _ => &[],
        };
        let names = ["{instance}", "{host}", "{url}"];
        texts
            .iter()
            .any(|text| names.iter().any(|n| text.contains(n)))
    }

    /// The action with every placeholder filled in.
    ///
    /// # Errors
    /// A value that a shell would act on inside a shell line, or that would lead a path astray.
    pub fn substituted(&self, values: &Placeholders) -> Result<Self, SubstitutionError> {
        let free = |_: &str, _: &str| Ok(());
        let text = |text: &String| values.fill(text, free);
        let path = |path: &PathBuf| match path.to_str() {
            Some(text) => values.fill(text, fits_path).map(PathBuf::from),
            None => Ok(path.clone()),
        };
        let effect = match &self.effect {
            Effect::Command { argv } => Effect::Command {
                argv: argv.iter().map(text).collect::<Result<_, _>>()?,
            },
            Effect::Shell { line } => Effect::Shell {
                line: values.fill(line, fits_shell)?,
            },
            Effect::Http {
                method,
                url,
                headers,
                body,
                expect_status,
            } => Effect::Http {
                method: method.clone(),
                url: text(url)?,
                headers: headers
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), text(value)?)))
                    .collect::<Result<_, _>>()?,
                body: body.as_ref().map(text).transpose()?,
                expect_status: expect_status.clone(),
            },
            Effect::WriteFile { path: at, content } => Effect::WriteFile {
                path: path(at)?,
                content: text(content)?,
            },
            Effect::RemoveFile { path: at } => Effect::RemoveFile { path: path(at)? },
        };
        Ok(Self {
            effect,
            time_limit: self.time_limit,
        })
    }
}

/// Only what no shell gives a meaning to, anywhere on a line.
fn fits_shell(name: &str, value: &str) -> Result<(), SubstitutionError> {
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

/// What will run, for people to read before it runs: arguments quoted where a reader could mistake them, header values left
/// out. Not for a shell to read, and not yet made harmless for a terminal.
impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command { argv } => {
                for (n, argument) in argv.iter().enumerate() {
                    if n > 0 {
                        f.write_str(" ")?;
                    }
                    let plain = !argument.is_empty() && fits_shell("", argument).is_ok();
                    if plain {
                        f.write_str(argument)?
                    } else {
                        write!(f, "{argument:?}")?
                    }
                }
                Ok(())
            }
            Self::Shell { line } => write!(f, "sh -c {line:?}"),
            Self::Http { method, url, .. } => write!(f, "{method} {url}"),
            Self::WriteFile { path, content } => {
                write!(f, "write {} ({} bytes)", path.display(), content.len())
            }
            Self::RemoveFile { path } => write!(f, "remove {}", path.display()),
        }
    }
}

/// As it is shown, so that header values do not reach a log by way of `{:?}`.
impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Effect({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(effect: Effect) -> Action {
        Action {
            effect,
            time_limit: Duration::from_secs(1),
        }
    }

    #[test]
    fn a_value_is_one_argument_whatever_it_holds() {
        let values = Placeholders::new()
            .with("instance", "a b; rm -rf {host}")
            .with("host", "h");
        let command = action(Effect::Command {
            argv: vec![
                "restart".into(),
                "{instance}".into(),
                "--on={host}".into(),
                "{{.Status}}".into(),
            ],
        });
        let Effect::Command { argv } = command.substituted(&values).unwrap().effect else {
            panic!()
        };
        assert_eq!(
            argv,
            ["restart", "a b; rm -rf {host}", "--on=h", "{{.Status}}"]
        );
    }

    #[test]
    fn a_shell_line_takes_plain_words_only() {
        let line = action(Effect::Shell {
            line: "curl -f {url}/health | grep \"{instance}\"".into(),
        });
        let fine = Placeholders::new()
            .with("url", "http://127.0.0.1:5001")
            .with("instance", "web-1");
        let Effect::Shell { line: filled } = line.substituted(&fine).unwrap().effect else {
            panic!()
        };
        assert_eq!(
            filled,
            "curl -f http://127.0.0.1:5001/health | grep \"web-1\""
        );

        let hostile = fine.with("instance", "$(reboot)");
        assert_eq!(
            line.substituted(&hostile),
            Err(SubstitutionError::UnsafeInShell {
                name: "instance".into(),
                character: '$'
            })
        );
    }

    #[test]
    fn a_path_cannot_be_led_astray() {
        let remove = action(Effect::RemoveFile {
            path: "/run/app/{instance}.flag".into(),
        });
        let hostile = Placeholders::new().with("instance", "../../etc/passwd");
        assert_eq!(
            remove.substituted(&hostile),
            Err(SubstitutionError::UnsafeInPath {
                name: "instance".into()
            })
        );
    }

    #[test]
    fn header_values_are_not_shown() {
        let call = action(Effect::Http {
            method: "POST".into(),
            url: "http://x/".into(),
            headers: vec![("authorization".into(), "Bearer hunter2".into())],
            body: None,
            expect_status: vec![],
        });
        assert!(!format!("{call:?}").contains("hunter2"));
    }
}
