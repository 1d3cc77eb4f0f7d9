//! Asks again and again which instances there are, where the runbook names what is asked for them (`fleet.instances`), and looks by which
//! database those serve that were not there at the opening. One question at a time, each with its own limit.
//!
//! Not in here: what an answer changes and what people are told (`session::membership`), and what a step asks for itself
//! (`step::newcomers`).

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::input::Input;
use crate::fleet::discovery::members;
use crate::fleet::provider::{Provider, Serving, by_page};
use crate::monitor::{Ground, Monitor};
use crate::runbook::discovery::{Discovery, Member};
use crate::runbook::{Instance, Runbook};
use crate::session::membership::{Answer, Serves, Sight, newcomers};

/// From the end of one question to the next.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How long an instance may take to say by which database it serves.
const LOOK_LIMIT: Duration = Duration::from_secs(2);
/// Instances that are looked at at the same time.
const IN_FLIGHT: usize = 64;

/// Who asks; dropping it ends that.
#[derive(Debug)]
pub struct Muster {
    _asking: DropGuard,
}

impl Muster {
    /// Begins to ask; nothing is asked where the runbook lists its instances.
    pub fn begin(
        runbook: &Arc<Runbook>,
        ground: Ground,
        monitor: Arc<Monitor>,
        inputs: mpsc::UnboundedSender<Input>,
    ) -> Muster {
        let cancel = CancellationToken::new();
        if let Some(discovery) = runbook.fleet.discovery.clone() {
            let asking = ask(Arc::clone(runbook), discovery, ground, monitor, inputs);
            tokio::spawn(cancel.clone().run_until_cancelled_owned(asking));
        }
        Muster {
            _asking: cancel.drop_guard(),
        }
    }
}

async fn ask(
    runbook: Arc<Runbook>,
    discovery: Discovery,
    ground: Ground,
    monitor: Arc<Monitor>,
    inputs: mpsc::UnboundedSender<Input>,
) {
    let client = crate::fleet::client();
    loop {
        tokio::time::sleep(ASK_EVERY).await;
        let found = members(&discovery, &ground.environment, &ground.folder).await;
        let asked = match found {
            Err(why) => Err(why),
            Ok(members) => {
                let sights = sights(&runbook, &client, &monitor, &members.all).await;
                let answer = Answer {
                    members: members.all,
                    wanted: members.wanted,
                    opening: runbook.fleet.instances.clone(),
                };
                Ok((answer, sights))
            }
        };
        if inputs.send(Input::Membership(asked)).is_err() {
            return;
        }
    }
}

/// By which database those serve that are not where the opening has them, or have lost their place to another.
async fn sights(
    runbook: &Runbook,
    client: &reqwest::Client,
    monitor: &Monitor,
    members: &[Member],
) -> Vec<Sight> {
    let opening = runbook.fleet.instances.iter();
    let in_place = opening.filter(|instance| monitor.is_as_opened(instance));
    let in_place: Vec<Instance> = in_place.cloned().collect();
    let newcomers = newcomers(&in_place, members);
    let Some(page) = &runbook.fleet.provider else {
        return newcomers.iter().map(untold).collect();
    };
    let asked: Vec<_> = newcomers
        .iter()
        .map(|instance| by_page(client, page, instance, LOOK_LIMIT))
        .collect();
    let serving: Vec<_> = stream::iter(asked).buffered(IN_FLIGHT).collect().await;
    let sight = |serving: Serving| Sight {
        name: serving.instance,
        serves: match serving.provider {
            Some(Provider::Sqlite) => Serves::Sqlite,
            Some(Provider::Postgres) => Serves::Postgres,
            None => Serves::Unknown,
        },
        how: serving.how,
    };
    serving.into_iter().map(sight).collect()
}

fn untold(instance: &Instance) -> Sight {
    Sight {
        name: instance.id.clone(),
        serves: Serves::Unknown,
        how: "`fleet.provider` in the runbook would tell".to_owned(),
    }
}
