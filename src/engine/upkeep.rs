//! Asks every instance whether it is in maintenance, from the end of the freeze's step until writes are reopened: its own page
//! (`fleet.maintenance`), else the file by which the runbook switches maintenance on.
//!
//! Not in here: when that counts and what people are told (`session::maintenance`).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::input::Input;
use super::patience::Patience;
use crate::fleet::maintenance::by_page;
use crate::monitor::Monitor;
use crate::runbook::action::Effect;
use crate::runbook::{Runbook, StepKind};
use crate::session::maintenance::{Seen, Sight};

/// How often they are asked.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// Instances that are asked at the same time.
const IN_FLIGHT: usize = 64;

/// Who looks whether maintenance is on; dropping it ends that.
#[derive(Debug)]
pub struct Lookout {
    wanted: watch::Sender<bool>,
    _asking: DropGuard,
}

impl Lookout {
    /// Looks at nothing yet. `base` is the runbook's folder; the monitor knows where the instances are.
    pub fn begin(
        runbook: &Arc<Runbook>,
        base: &Path,
        monitor: Arc<Monitor>,
        inputs: mpsc::UnboundedSender<Input>,
    ) -> Lookout {
        let (wanted, is_wanted) = watch::channel(false);
        let cancel = CancellationToken::new();
        let base = base.to_owned();
        let asking = ask(Arc::clone(runbook), base, monitor, is_wanted, inputs);
        tokio::spawn(cancel.clone().run_until_cancelled_owned(asking));
        Lookout {
            wanted,
            _asking: cancel.drop_guard(),
        }
    }

    /// Whether to look from now on.
    pub fn heed(&self, wanted: bool) {
        self.wanted
            .send_if_modified(|now| std::mem::replace(now, wanted) != wanted);
    }
}

async fn ask(
    runbook: Arc<Runbook>,
    base: PathBuf,
    monitor: Arc<Monitor>,
    mut wanted: watch::Receiver<bool>,
    inputs: mpsc::UnboundedSender<Input>,
) {
    let client = crate::fleet::client();
    let switch = switch_file(&runbook).map(|file| base.join(file));
    let mut patience = Patience::default();
    while wanted.wait_for(|wanted| *wanted).await.is_ok() {
        let instances = monitor.instances();
        let seen = match (&runbook.fleet.maintenance, &switch) {
            (Some(page), _) => {
                let asked = instances.iter();
                let asked: Vec<_> = asked
                    .map(|i| by_page(&client, page, i, ANSWER_LIMIT))
                    .collect();
                stream::iter(asked).buffered(IN_FLIGHT).collect().await
            }
            (None, Some(file)) => vec![look(file, &mut patience).await],
            (None, None) => return,
        };
        if inputs.send(Input::Upkeep(seen)).is_err() {
            return;
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// The one file by which the freeze switches maintenance on, where it does so.
pub fn switch_file(runbook: &Runbook) -> Option<&Path> {
    let mut freezes = runbook.steps.iter().filter_map(|step| match &step.kind {
        StepKind::Freeze { on, .. } => Some(on),
        _ => None,
    });
    match &freezes.next()?.effect {
        Effect::WriteFile { path, .. } if !path.to_string_lossy().contains('{') => Some(path),
        Effect::WriteFile { .. }
        | Effect::Command { .. }
        | Effect::Shell { .. }
        | Effect::Http { .. }
        | Effect::RemoveFile { .. } => None,
    }
}

async fn look(file: &Path, patience: &mut Patience<std::io::Result<()>>) -> Seen {
    let asked = file.to_owned();
    let question = move || asked.symlink_metadata().map(|_| ());
    let (sight, how) = match patience.ask(question, ANSWER_LIMIT).await {
        Ok(Ok(())) => (Sight::On, "the file is there".to_owned()),
        Ok(Err(error)) if error.kind() == ErrorKind::NotFound => {
            (Sight::Off, "the file is gone".to_owned())
        }
        Ok(Err(error)) => (Sight::Unknown, error.to_string()),
        Err(since) => (
            Sight::Unknown,
            format!("its file system has not answered for {} s", since.as_secs()),
        ),
    };
    Seen {
        place: format!("every instance that goes by {}", file.display()),
        sight,
        how,
    }
}
