//! Tells people who are not looking, by the runbook's `notify`. Each channel has a task and a bounded queue of its own: a slow one delays
//! neither another nor the engine. What could not be delivered comes back as an input, and becomes an alarm in the journal.
//!
//! Not in here: what there is to tell (`session::notice`).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::input::Input;
use crate::action::{self, Environment, Placeholders, Run};
use crate::fleet;
use crate::runbook::{Channel, Means, Occasion};
use crate::secret::masked;
use crate::session::notice::Notice;
use crate::text::printable;

/// Notices that wait for one channel; more are not delivered, and that is said.
const QUEUE: usize = 64;
/// How often one notice is tried.
const ATTEMPTS: u32 = 3;
/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(2);
/// Characters of a reason.
const WHY_CHARS: usize = 200;

/// The channels of a session.
pub struct Notifier {
    channels: Vec<(Channel, mpsc::Sender<Letter>)>,
    session: String,
    inputs: mpsc::UnboundedSender<Input>,
    tasks: JoinSet<()>,
}

/// What commands run with.
#[derive(Clone)]
pub struct Desk {
    pub folder: PathBuf,
    /// What the session's actions are run with.
    pub environment: Arc<Environment>,
}

/// A notice on its way.
#[derive(Clone)]
struct Letter {
    session: String,
    notice: Notice,
}

impl Notifier {
    /// Starts a task per channel. Must be called within a tokio runtime.
    pub fn start(
        channels: &[Channel],
        session: &str,
        desk: &Desk,
        inputs: mpsc::UnboundedSender<Input>,
    ) -> Notifier {
        let mut tasks = JoinSet::new();
        let mut begun = Vec::new();
        // Terminals are rung by those who sit at them.
        let ours = |channel: &&Channel| !matches!(channel.means, Means::Terminal(_));
        for channel in channels.iter().filter(ours) {
            let (to, letters) = mpsc::channel(QUEUE);
            tasks.spawn(deliver_all(
                channel.clone(),
                desk.clone(),
                letters,
                inputs.clone(),
            ));
            begun.push((channel.clone(), to));
        }
        Notifier {
            channels: begun,
            session: session.to_owned(),
            inputs,
            tasks,
        }
    }

    /// Hands a notice to every channel that is for its kind. Never waits.
    pub fn tell(&self, notice: &Notice) {
        let for_this = |channel: &Channel| channel.events.contains(&notice.occasion);
        for (channel, to) in self.channels.iter().filter(|(c, _)| for_this(c)) {
            let letter = Letter {
                session: self.session.clone(),
                notice: notice.clone(),
            };
            if to.try_send(letter).is_err() {
                let why = format!("{QUEUE} others wait before it");
                let _ = self.inputs.send(undelivered(channel, notice, &why));
            }
        }
    }

    /// Takes no more, and waits so long for what is still on its way.
    pub async fn end(&mut self, limit: Duration) {
        self.channels.clear();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, all).await.is_err() {
            let _ = self.inputs.send(Input::Untold {
                text: "not everybody could be told of the end: look who knows".to_owned(),
            });
        }
    }
}

async fn deliver_all(
    channel: Channel,
    desk: Desk,
    mut letters: mpsc::Receiver<Letter>,
    inputs: mpsc::UnboundedSender<Input>,
) {
    let client = fleet::client();
    while let Some(letter) = letters.recv().await {
        if let Err(why) = deliver(&client, &channel, &desk, &letter).await {
            // The engine may be at its end: then nobody takes it any more, and its own log has it.
            tracing::warn!(channel = channel.id, why, "could not tell people");
            let _ = inputs.send(undelivered(&channel, &letter.notice, &why));
        }
    }
}

/// What is at the bottom of it: the layers above only say that sending failed.
fn innermost(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => innermost(cause),
        None => printable(&masked(&error.to_string()), 200),
    }
}

/// Several attempts, each within the channel's limit.
async fn deliver(
    client: &reqwest::Client,
    channel: &Channel,
    desk: &Desk,
    letter: &Letter,
) -> Result<(), String> {
    let limit = Duration::from_millis(channel.timeout_ms.unsigned_abs());
    let mut attempt = 1;
    loop {
        let tried = tokio::time::timeout(limit, once(client, channel, desk, letter)).await;
        let why = match tried {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(why)) => why,
            Err(_) => format!("no answer within {} ms", limit.as_millis()),
        };
        if attempt == ATTEMPTS {
            return Err(why);
        }
        attempt += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn once(
    client: &reqwest::Client,
    channel: &Channel,
    desk: &Desk,
    letter: &Letter,
) -> Result<(), String> {
    match &channel.means {
        Means::Webhook { url, headers } => {
            let mut request = client.post(url).json(&letter.json());
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let answer = request.send().await;
            // The address often is a secret.
            let status = answer
                .map_err(|error| innermost(&error.without_url()))?
                .status();
            match status.is_success() {
                true => Ok(()),
                false => Err(format!("it answered {status}")),
            }
        }
        Means::Command(action) => {
            let run = Run {
                action,
                placeholders: &Placeholders::new().with("event", letter.notice.occasion.key()),
                environment: &desk.environment,
                folder: &desk.folder,
                output_path: std::path::Path::new("/dev/null"),
            };
            action::tell(run, letter.text().as_bytes()).await
        }
        Means::Terminal(_) => Ok(()),
    }
}

impl Letter {
    /// What people read: what is so, and what to do.
    fn text(&self) -> String {
        let Notice { text, act, .. } = &self.notice;
        masked(&format!("[{}] {text} {act}\n", self.session)).into_owned()
    }

    /// `text` is what chats show; the rest is for machines.
    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "text": self.text().trim_end(),
            "session": self.session,
            "event": self.notice.occasion.key(),
            "what": masked(&self.notice.text),
            "do": masked(&self.notice.act),
            "for": self.notice.roles,
        })
    }
}

fn undelivered(channel: &Channel, notice: &Notice, why: &str) -> Input {
    Input::Untold {
        text: printable(
            &masked(&format!(
                "{} could not be told ({}): {why}. Tell people by other means: {}",
                channel.id,
                said(notice.occasion),
                notice.text
            )),
            WHY_CHARS + notice.text.len(),
        ),
    }
}

fn said(occasion: Occasion) -> String {
    occasion.key().replace('_', " ")
}
