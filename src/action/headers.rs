//! Headers that a command prints (`headers_command`): a token that expires is asked for again before it does, and once where a server
//! refuses it. What the command prints is secret: this process learns it before it is used, and no message has any of it.
//!
//! The command runs once at a time. Whoever waits while it runs takes what comes of it, good or bad: a server that refuses many requests,
//! or a command that hangs, does not make a queue.
//!
//! Not in here: sending (`fleet::request`, `action::http`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::{Environment, Run, read};
use crate::runbook::action::HeadersCommand;
use crate::runbook::placeholders::Placeholders;
use crate::secret::{self, MIN_BYTES, Password, Secret};

/// Bytes of what a command prints that are read at most.
const PRINTED_BYTES: usize = 64 * 1024;

/// Names and values.
pub type Pairs = Vec<(String, String)>;

/// The headers of one command. Cheap to clone; clones share what they know.
#[derive(Clone)]
pub struct Headers {
    command: HeadersCommand,
    environment: Arc<Environment>,
    folder: PathBuf,
    kept: Arc<Mutex<Option<Kept>>>,
}

/// What came of the command when it last ran.
struct Kept {
    outcome: Result<Pairs, String>,
    came: Instant,
}

impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Headers({})", self.command.action.effect)
    }
}

impl Headers {
    /// Nothing is asked yet.
    pub fn new(command: &HeadersCommand, environment: Arc<Environment>, folder: &Path) -> Headers {
        Headers {
            command: command.clone(),
            environment,
            folder: folder.to_owned(),
            kept: Arc::default(),
        }
    }

    /// What the command printed, at most so long ago as it is good for. Whoever stops waiting does not stop the command: what it prints is
    /// there the next time.
    ///
    /// # Errors
    /// The command failed, or printed no headers; in words, without what it printed.
    pub async fn current(&self) -> Result<Pairs, String> {
        self.asked(None).await
    }

    /// The same after a server has refused these: they are asked for again, unless somebody has done so meanwhile.
    pub async fn after_refusal(&self, refused: Pairs) -> Result<Pairs, String> {
        self.asked(Some(refused)).await
    }

    async fn asked(&self, refused: Option<Pairs>) -> Result<Pairs, String> {
        let (headers, since) = (self.clone(), Instant::now());
        let task = tokio::spawn(async move {
            let mut kept = headers.kept.lock().await;
            let every = headers.command.every;
            let will_do = |kept: &&Kept| {
                let refused = refused.as_ref();
                kept.will_do(since, Instant::now(), every, refused)
            };
            if let Some(kept) = kept.as_ref().filter(will_do) {
                return kept.outcome.clone();
            }
            let outcome = headers.ask().await;
            *kept = Some(Kept {
                outcome: outcome.clone(),
                came: Instant::now(),
            });
            outcome
        });
        let asked = task.await.map_err(|error| error.to_string());
        asked
            .and_then(|asked| asked)
            .map_err(|why| format!("headers_command: {why}"))
    }

    async fn ask(&self) -> Result<Pairs, String> {
        let limit = self.command.action.time_limit;
        let placeholders = Placeholders::new();
        let run = Run {
            action: &self.command.action,
            placeholders: &placeholders,
            environment: &self.environment,
            folder: &self.folder,
            // What it prints is kept nowhere.
            output_path: Path::new("/dev/null"),
        };
        let printed = tokio::time::timeout(limit, read(run, PRINTED_BYTES)).await;
        let printed = printed
            .map_err(|_| format!("the command did not end within {} s", limit.as_secs_f64()))??;
        let pairs = pairs_in(&printed)?;
        learn(&pairs);
        Ok(pairs)
    }
}

impl Kept {
    /// Whether it will do for somebody who has waited since then, and whose headers a server may have refused. Headers are good for `every`.
    fn will_do(
        &self,
        since: Instant,
        now: Instant,
        every: Duration,
        refused: Option<&Pairs>,
    ) -> bool {
        let came_meanwhile = self.came >= since;
        match &self.outcome {
            Ok(pairs) => {
                let is_fresh = now.duration_since(self.came) < every;
                came_meanwhile || (is_fresh && refused != Some(pairs))
            }
            Err(_) => came_meanwhile,
        }
    }
}

/// Header lines, or one line that is a token.
///
/// # Errors
/// Neither; in words that show none of it.
pub fn pairs_in(printed: &[u8]) -> Result<Pairs, String> {
    let text = std::str::from_utf8(printed).map_err(|_| "what the command printed is not UTF-8")?;
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    let headers: Option<Pairs> = lines.iter().map(|line| header(line)).collect();
    let pairs = match (lines.as_slice(), headers) {
        ([], _) => return Err("the command printed nothing".to_owned()),
        (_, Some(pairs)) => pairs,
        ([token], None) => vec![("Authorization".to_owned(), authorization(token))],
        (several, None) => {
            let bad = several.iter().position(|line| header(line).is_none());
            return Err(format!(
                "line {} of what the command printed is no header, such as `Authorization: Bearer …`",
                bad.unwrap_or_default() + 1
            ));
        }
    };
    let is_sound = |(name, value): &(String, String)| {
        reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_ok()
            && reqwest::header::HeaderValue::from_str(value).is_ok()
    };
    match pairs.iter().position(|pair| !is_sound(pair)) {
        Some(n) => Err(format!("header {} holds what no header may hold", n + 1)),
        None if pairs.iter().any(|(_, value)| value.len() < MIN_BYTES) => Err(format!(
            "a header has fewer than {MIN_BYTES} characters: hiding it would eat the text around it"
        )),
        None => Ok(pairs),
    }
}

/// `Name: value`. A token has no colon, or nothing that could be a name before it.
fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let value = value.strip_prefix([' ', '\t'])?.trim();
    let is_one = !name.is_empty() && name.chars().all(fits) && !value.is_empty();
    is_one.then(|| (name.to_owned(), value.to_owned()))
}

/// A token that says how it is meant stays as it is.
fn authorization(token: &str) -> String {
    match token.contains(' ') {
        true => token.to_owned(),
        false => format!("Bearer {token}"),
    }
}

/// Each value, and what stands in it behind `Bearer`.
fn learn(pairs: &Pairs) {
    let parts = pairs.iter().flat_map(|(_, value)| {
        let token = value
            .rsplit(' ')
            .next()
            .filter(|token| token.len() >= MIN_BYTES);
        [Some(value.as_str()), token].into_iter().flatten()
    });
    let secrets = parts.map(|part| Secret::Password(Password::alone(part.to_owned())));
    secret::learn(secrets.collect::<Vec<_>>(), []);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::action::{Action, Effect};

    #[test]
    fn lines_are_headers_or_one_token() {
        let read = |text: &str| pairs_in(text.as_bytes());
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            read("eyJhbGciOi.J9\n"),
            Ok(vec![pair("Authorization", "Bearer eyJhbGciOi.J9")])
        );
        assert_eq!(
            read("Basic dXNlcjpwYXNz\n"),
            Ok(vec![pair("Authorization", "Basic dXNlcjpwYXNz")])
        );
        assert_eq!(
            read("\nDD-API-KEY: 0123456789\r\nX-Scope-OrgID: tools-team\n"),
            Ok(vec![
                pair("DD-API-KEY", "0123456789"),
                pair("X-Scope-OrgID", "tools-team")
            ])
        );
        assert_eq!(read("\n"), Err("the command printed nothing".to_owned()));
        for (bad, why) in [
            ("Authorization: token-1\nhello there\n", "line 2 of what"),
            ("a: b", "fewer than 6"),
            ("token\u{7f}token", "no header may hold"),
        ] {
            let error = read(bad).expect_err(bad);
            assert!(error.contains(why), "{error}");
            assert!(
                !error.contains("token-1") && !error.contains("hello"),
                "{error}"
            );
        }
    }

    /// Headers whose command notes each run and then does as this line says.
    fn printing(folder: &Path, line: &str) -> Headers {
        let line = format!("echo >>{}/runs; {line}", folder.display());
        let action = Action::new(Effect::Shell { line }, Duration::from_secs(60));
        let command = HeadersCommand {
            action: Box::new(action),
            every: Duration::from_secs(3_600),
        };
        Headers::new(&command, Arc::default(), folder)
    }

    fn runs(folder: &Path) -> usize {
        let noted = std::fs::read_to_string(folder.join("runs"));
        noted.unwrap_or_default().lines().count()
    }

    #[tokio::test]
    async fn many_who_were_refused_the_same_token_run_the_command_once_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let headers = printing(folder.path(), "echo token-that-stays");
        let first = headers.current().await.expect("a token");
        assert_eq!(runs(folder.path()), 1);
        let all = (0..20).map(|_| headers.after_refusal(first.clone()));
        let all = futures_util::future::join_all(all).await;
        assert!(all.iter().all(|one| one.as_ref() == Ok(&first)), "{all:?}");
        assert_eq!(runs(folder.path()), 2);
        // Whoever is refused later has it asked for again.
        let again = headers.after_refusal(first.clone()).await;
        assert_eq!(again, Ok(first));
        assert_eq!(runs(folder.path()), 3);
    }

    #[tokio::test]
    async fn many_who_wait_for_a_command_that_fails_run_it_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let headers = printing(folder.path(), "exit 3");
        let all = futures_util::future::join_all((0..20).map(|_| headers.current())).await;
        let failed = |one: &Result<Pairs, String>| {
            one.as_ref()
                .is_err_and(|why| why.contains("exit status: 3"))
        };
        assert!(all.iter().all(failed), "{all:?}");
        assert_eq!(runs(folder.path()), 1);
        assert!(headers.current().await.is_err());
        assert_eq!(runs(folder.path()), 2);
    }
}
