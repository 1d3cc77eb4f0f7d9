//! What a runbook may tell us to run: a command, a shell line, a request, a file. Plain data, and how placeholders enter it.
//!
//! Nothing is run in here ([`crate::action`] does that) and no YAML is read. A command is a list of arguments that no shell
//! ever sees; only [`Effect::Shell`] is read by one.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::placeholders::{OF_INSTANCE, OF_SESSION, OF_SOURCE, Place, fits_shell, named_in};
pub use super::placeholders::{Placeholders, SubstitutionError};

/// One thing to do, and how long it may take before it counts as failed.
#[derive(Clone, PartialEq, Eq)]
pub struct Action {
    pub effect: Effect,
    /// Variables that a command sees besides those of its environment: name and text, placeholders with their passwords. Never shown.
    pub env: Vec<(String, String)>,
    /// What a command reads from its standard input, placeholders with their passwords; empty where absent. Never shown.
    pub stdin: Option<String>,
    /// Prints more headers of a request.
    pub headers_command: Option<Box<HeadersCommand>>,
    /// Whether a rehearsal may do it.
    pub rehearse: Rehearse,
    /// After this much time it is ended and has failed. Never scaled by the sandbox's speed.
    pub time_limit: Duration,
}

/// A command that prints headers, such as one with a token that expires. What it prints is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadersCommand {
    /// A command or a shell line.
    pub action: Box<Action>,
    /// For how long what it printed is good; real time.
    pub every: Duration,
}

/// Whether, and how, a rehearsal does what an action says. Production has to be left alone by it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Rehearse {
    /// Only if the action follows the session: it uses a placeholder or a variable that leads to scratch in a rehearsal.
    #[default]
    IfItFollows,
    /// As it stands: a person's word that it leaves production alone, or decided so in [`super::rehearsal`].
    Same,
    /// Another action in its place.
    Instead(Box<Action>),
    /// It is not done, for this reason: decided in [`super::rehearsal`], never written.
    Never(String),
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
    Shell { line: String },
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
        content: String,
    },
    /// Remove a file; one that is already gone is fine.
    RemoveFile {
        /// As in `WriteFile`.
        path: PathBuf,
    },
}

impl Action {
    /// An effect with its time limit, and nothing besides.
    pub fn new(effect: Effect, time_limit: Duration) -> Self {
        Self {
            effect,
            env: Vec::new(),
            stdin: None,
            headers_command: None,
            rehearse: Rehearse::default(),
            time_limit,
        }
    }

    /// The same, cleared for rehearsals.
    #[must_use]
    pub fn cleared(mut self) -> Self {
        self.rehearse = Rehearse::Same;
        if let Some(headers) = &mut self.headers_command {
            headers.action.rehearse = Rehearse::Same;
        }
        self
    }

    /// Every text of it that placeholders are filled into.
    pub fn texts(&self) -> Vec<&str> {
        let mut texts: Vec<&str> = match &self.effect {
            Effect::Command { argv } => argv.iter().map(String::as_str).collect(),
            Effect::Shell { line } => vec![line],
            Effect::Http {
                url, headers, body, ..
            } => {
                let headers = headers.iter().map(|(_, value)| value.as_str());
                [url.as_str()]
                    .into_iter()
                    .chain(headers)
                    .chain(body.as_deref())
                    .collect()
            }
            Effect::WriteFile { path, content } => path
                .to_str()
                .into_iter()
                .chain([content.as_str()])
                .collect(),
            Effect::RemoveFile { path } => path.to_str().into_iter().collect(),
        };
        texts.extend(self.env.iter().map(|(_, value)| value.as_str()));
        texts.extend(self.stdin.as_deref());
        let headers = self.headers_command.iter();
        texts.extend(headers.flat_map(|headers| headers.action.texts()));
        texts
    }

    /// The texts that say where it acts: the path of a file, the URL of a request. What a command does with its arguments nobody can know, so
    /// of a command they are all texts.
    fn places(&self) -> Vec<&str> {
        match &self.effect {
            Effect::Command { .. } | Effect::Shell { .. } => self.texts(),
            Effect::Http { url, .. } => vec![url],
            Effect::WriteFile { path, .. } | Effect::RemoveFile { path } => {
                path.to_str().into_iter().collect()
            }
        }
    }

    /// Whether it is another for each instance: it is a command that names one.
    pub fn is_per_instance(&self) -> bool {
        let is_command = matches!(self.effect, Effect::Command { .. } | Effect::Shell { .. });
        is_command && self.uses_any(&OF_INSTANCE)
    }

    /// Whether where it acts follows the session: by a placeholder, or, of a command, by the variable with its value; also whether a command
    /// asks if this is a rehearsal. A file or a server of its own is not elsewhere because what is written there is.
    pub fn follows_session(&self) -> bool {
        let (session, source) = (OF_SESSION.as_slice(), OF_SOURCE.as_slice());
        self.acts_by(session)
            || self.acts_by(source)
            || self.asks_any(session)
            || self.asks_any(source)
            || self.asks_any(&["rehearsal"])
    }

    /// Whether one of these placeholders says where it acts.
    pub fn acts_by(&self, names: &[&str]) -> bool {
        let mut texts = self.places().into_iter();
        texts.any(|text| named_in(text).any(|(name, _)| names.contains(&name)))
    }

    /// Whether one of these placeholders stands in one of its texts.
    pub fn uses_any(&self, names: &[&str]) -> bool {
        let mut texts = self.texts().into_iter();
        texts.any(|text| named_in(text).any(|(name, _)| names.contains(&name)))
    }

    /// Whether a command names the variable of one of these placeholders, such as `$CUTOVER_TARGET_URL`.
    pub fn asks_any(&self, names: &[&str]) -> bool {
        let lines: &[String] = match &self.effect {
            Effect::Command { argv } => argv,
            Effect::Shell { line } => std::slice::from_ref(line),
            Effect::Http { .. } | Effect::WriteFile { .. } | Effect::RemoveFile { .. } => &[],
        };
        let given = lines.iter().chain(&self.stdin);
        given.into_iter().any(|text| {
            names
                .iter()
                .any(|name| holds_word(text, &format!("CUTOVER_{}", name.to_uppercase())))
        })
    }

    /// Whether what it leaves behind, such as a file's content, holds a password.
    pub fn reveals(&self, values: &Placeholders) -> bool {
        self.texts().iter().any(|text| values.reveals(text))
    }

    /// The action with every placeholder filled in.
    ///
    /// # Errors
    /// A value that a shell would act on inside a shell line, that would lead a path astray, or that is a password where the process list
    /// would show it.
    pub fn substituted(&self, values: &Placeholders) -> Result<Self, SubstitutionError> {
        let open = |text: &String| values.filled_at(text, Place::Open);
        let private = |text: &String| values.filled_at(text, Place::Private);
        let path = |path: &PathBuf| match path.to_str() {
            Some(text) => values.filled_at(text, Place::Path).map(PathBuf::from),
            None => Ok(path.clone()),
        };
        let pairs = |pairs: &[(String, String)]| {
            let filled = pairs
                .iter()
                .map(|(name, value)| Ok((name.clone(), private(value)?)));
            filled.collect::<Result<Vec<_>, _>>()
        };
        let effect = match &self.effect {
            Effect::Command { argv } => Effect::Command {
                argv: argv.iter().map(open).collect::<Result<_, _>>()?,
            },
            Effect::Shell { line } => Effect::Shell {
                line: values.filled_at(line, Place::Shell)?,
            },
            Effect::Http {
                method,
                url,
                headers,
                body,
                expect_status,
            } => Effect::Http {
                method: method.clone(),
                url: open(url)?,
                headers: pairs(headers)?,
                body: body.as_ref().map(private).transpose()?,
                expect_status: expect_status.clone(),
            },
            Effect::WriteFile { path: at, content } => Effect::WriteFile {
                path: path(at)?,
                content: private(content)?,
            },
            Effect::RemoveFile { path: at } => Effect::RemoveFile { path: path(at)? },
        };
        Ok(Self {
            effect,
            env: pairs(&self.env)?,
            stdin: self.stdin.as_ref().map(private).transpose()?,
            headers_command: self.headers_command.clone(),
            rehearse: self.rehearse.clone(),
            time_limit: self.time_limit,
        })
    }
}

/// Whether a text holds a word that is no part of a longer name.
fn holds_word(text: &str, word: &str) -> bool {
    let of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(of_name) && !text[at + word.len()..].starts_with(of_name)
    })
}

/// As it is shown, so that variables and standard input do not reach a log by way of `{:?}`.
impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.env.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Action")
            .field("effect", &self.effect)
            .field("env", &names)
            .field("rehearse", &self.rehearse)
            .field("time_limit", &self.time_limit)
            .finish_non_exhaustive()
    }
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
        Action::new(effect, Duration::from_secs(1))
    }

    #[test]
    fn what_follows_the_session_is_seen_in_every_text() {
        let shell = |line: &str| action(Effect::Shell { line: line.into() });
        for line in [
            "migrate --to {target_url}",
            "DATABASE_URL=\"$CUTOVER_TARGET_URL\" manage.py migrate",
            "psql \"${CUTOVER_RUNTIME_URL:?}\"",
            "sqlite3 {source_file} .tables",
            "alembic -x url={target_url:postgresql+psycopg} upgrade head",
            "test \"$CUTOVER_REHEARSAL\" = 1 || migrate",
        ] {
            assert!(shell(line).follows_session(), "{line}");
        }
        for line in [
            "DATABASE_URL=\"$TARGET_URL\" manage.py migrate",
            "migrate {instance}",
            "echo $CUTOVER_TARGET_URLS $MY_CUTOVER_TARGET_URL",
            "migrate {targeturl}",
        ] {
            assert!(!shell(line).follows_session(), "{line}");
        }
        let mut by_env = shell("manage.py migrate");
        by_env.env = vec![("DATABASE_URL".into(), "{target_url}".into())];
        assert!(by_env.follows_session());
        let mut by_stdin = shell("psql -f -");
        by_stdin.stdin = Some("{runtime_password}".into());
        assert!(by_stdin.follows_session() && !format!("{by_stdin:?}").contains("runtime"));
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
