//! Requests with the headers that a runbook names and those that a command prints (`headers_command`): these are asked for again before they
//! expire, and once where the server does not take them.
//!
//! Not in here: running the command (`action::headers`).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::request::{Answer, AskError, ask, ask_with, get_with};
use crate::action::headers::{Headers, Pairs};
use crate::action::{Environment, HeadersCommand};
use crate::runbook::Request;

/// What a server answers that does not know who asks.
const UNAUTHORIZED: u16 = 401;

/// Who asks. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Signed {
    own: Pairs,
    command: Option<Headers>,
}

impl Signed {
    /// By these headers, and by those of this command.
    pub fn new(
        own: &[(String, String)],
        command: Option<&HeadersCommand>,
        environment: &Arc<Environment>,
        folder: &Path,
    ) -> Signed {
        let headers = |command| Headers::new(command, Arc::clone(environment), folder);
        Signed {
            own: own.to_vec(),
            command: command.map(headers),
        }
    }

    /// Has the headers ready where nobody is in a hurry: waits for their command for as long as it may take. Where it fails, the next request
    /// says so.
    pub async fn prepare(&self) {
        if let Some(command) = &self.command {
            let _ = command.current().await;
        }
    }

    /// Gets one address, reading at most so many bytes. `limit` is for each request, and for all that is waited for headers.
    ///
    /// # Errors
    /// No complete answer, or no headers; in words.
    pub async fn get(
        &self,
        client: &reqwest::Client,
        url: &str,
        limit: Duration,
        limit_bytes: usize,
    ) -> Result<Answer, String> {
        let ask = async |more: &Pairs| {
            let headers = [self.own.as_slice(), more].concat();
            let answer = get_with(client, url, &headers, limit, limit_bytes).await;
            answer.map_err(|error| error.to_string())
        };
        let Some(command) = &self.command else {
            return ask(&Pairs::new()).await;
        };
        let mut waited = Waited::none(command, limit);
        let printed = waited.first().await?;
        let answer = ask(&printed).await?;
        match waited.after(answer.status, printed).await? {
            None => Ok(answer),
            Some(printed) => ask(&printed).await,
        }
    }
}

/// The headers of all commands that requests of a runbook name: who has the same command has the same headers. Cheap to clone; clones share
/// what they know.
#[derive(Clone)]
pub struct Tokens {
    known: Arc<Mutex<Vec<(HeadersCommand, Headers)>>>,
    environment: Arc<Environment>,
    folder: PathBuf,
}

impl Tokens {
    /// Nothing is asked yet.
    pub fn new(environment: &Arc<Environment>, folder: &Path) -> Tokens {
        Tokens {
            known: Arc::default(),
            environment: Arc::clone(environment),
            folder: folder.to_owned(),
        }
    }

    /// Asks one instance, as [`ask`] does, with what the request's command prints. `limit` is for each time that it is sent, and for all that
    /// is waited for headers. Where the server answers 401 it has not done what it was asked for, so that what writes is sent once more, too.
    ///
    /// # Errors
    /// No complete answer, or no headers.
    pub async fn ask(
        &self,
        client: &reqwest::Client,
        request: &Request,
        base_url: &str,
        limit: Duration,
    ) -> Result<Answer, AskError> {
        let Some(command) = &request.headers_command else {
            return ask(client, request, base_url, limit).await;
        };
        let none = |why| AskError::NoHeaders { why };
        let headers = self.of(command);
        let mut waited = Waited::none(&headers, limit);
        let printed = waited.first().await.map_err(none)?;
        let answer = ask_with(client, request, &printed, base_url, limit).await?;
        // Whoever expects a refusal has got what they asked for.
        if request.status == UNAUTHORIZED {
            return Ok(answer);
        }
        match waited.after(answer.status, printed).await.map_err(none)? {
            None => Ok(answer),
            Some(printed) => ask_with(client, request, &printed, base_url, limit).await,
        }
    }

    /// Has the headers of these ready where nobody is in a hurry.
    pub async fn prepare<'r>(&self, requests: impl Iterator<Item = &'r Request>) {
        let mut commands: Vec<&HeadersCommand> = Vec::new();
        for command in requests.filter_map(|request| request.headers_command.as_deref()) {
            // One that hangs is not waited for once for each request.
            if !commands.contains(&command) {
                commands.push(command);
            }
        }
        for command in commands {
            let _ = self.of(command).current().await;
        }
    }

    fn of(&self, command: &HeadersCommand) -> Headers {
        let mut known = self.known.lock().expect("BUG: no holder panics");
        if let Some((_, headers)) = known.iter().find(|(of, _)| of == command) {
            return headers.clone();
        }
        let headers = Headers::new(command, Arc::clone(&self.environment), &self.folder);
        known.push((command.clone(), headers.clone()));
        headers
    }
}

/// How long one request has waited for its headers: no longer than `limit` in all.
struct Waited<'a> {
    headers: &'a Headers,
    left: Duration,
    limit: Duration,
}

impl Waited<'_> {
    fn none(headers: &Headers, limit: Duration) -> Waited<'_> {
        Waited {
            headers,
            left: limit,
            limit,
        }
    }

    /// The headers to begin with.
    async fn first(&mut self) -> Result<Pairs, String> {
        let began = Instant::now();
        let printed = within(self.left, self.limit, self.headers.current()).await?;
        self.left = self.left.saturating_sub(began.elapsed());
        Ok(printed)
    }

    /// Others, where the server has not taken these.
    async fn after(&mut self, status: u16, refused: Pairs) -> Result<Option<Pairs>, String> {
        if status != UNAUTHORIZED {
            return Ok(None);
        }
        let renewed = self.headers.after_refusal(refused);
        let printed = within(self.left, self.limit, renewed).await?;
        Ok(Some(printed))
    }
}

/// Headers, if they come in the time that is left of a limit.
async fn within(
    left: Duration,
    limit: Duration,
    headers: impl Future<Output = Result<Pairs, String>>,
) -> Result<Pairs, String> {
    let asked = tokio::time::timeout(left, headers).await;
    asked.unwrap_or_else(|_| {
        let limit_ms = limit.as_millis();
        Err(format!(
            "headers_command: what it prints did not come within {limit_ms} ms"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::action::{Action, Effect};
    use crate::runbook::{CompareBody, RequestClass};

    #[tokio::test]
    async fn a_command_of_several_requests_is_run_once_beforehand() {
        let line = "echo >>runs; exit 3".to_owned();
        let command = HeadersCommand {
            action: Box::new(Action::new(Effect::Shell { line }, Duration::from_secs(60))),
            every: Duration::from_secs(60),
        };
        let request = Request {
            name: "tools".to_owned(),
            class: RequestClass::Read,
            method: "GET".to_owned(),
            url: "{url}/tools".to_owned(),
            headers: Vec::new(),
            headers_command: Some(Box::new(command)),
            body: None,
            status: 200,
            contains: None,
            compare_body: CompareBody::No,
            leaves_rows: false,
        };
        let folder = tempfile::tempdir().expect("a folder");
        let tokens = Tokens::new(&Arc::default(), folder.path());
        tokens.prepare([&request, &request].into_iter()).await;
        let runs = std::fs::read_to_string(folder.path().join("runs")).expect("it ran");
        assert_eq!(runs.lines().count(), 1);
    }

    /// What hangs here is the command; nobody is asked at this address.
    #[tokio::test]
    async fn a_command_that_hangs_is_waited_for_no_longer_than_a_request() {
        let line = "sleep 60".to_owned();
        let command = HeadersCommand {
            action: Box::new(Action::new(Effect::Shell { line }, Duration::from_secs(60))),
            every: Duration::from_secs(60),
        };
        let folder = tempfile::tempdir().expect("a folder");
        let signed = Signed::new(&[], Some(&command), &Arc::default(), folder.path());
        let (client, limit) = (crate::fleet::client(), Duration::from_millis(50));
        let got = signed.get(&client, "http://127.0.0.1:1", limit, 1).await;
        let why = got.expect_err("no headers");
        assert!(why.contains("did not come within 50 ms"), "{why}");
    }
}
