//! Whether an instance has left production, by what its processes have open and were started with. Not in here: what a step refuses where it
//! has not (`step::staging`).

use super::Watch;
use crate::fleet::place::processes_of;
use crate::fleet::processes;
use crate::runbook::Instance;
use crate::sqlite;

impl Watch {
    /// Whether all its processes are seen to have nothing of production: the live SQLite file is not open, and no variable leads there. Where
    /// no process can be looked at that is not known, and this is `false`.
    pub async fn is_left_by(&self, instance: &Instance) -> bool {
        let running = processes_of(instance).await;
        let variables = running.iter().map(processes::variables_of);
        let is_led = variables
            .into_iter()
            .any(|v| self.production.led_to_by(&v).is_some());
        if running.is_empty() || is_led {
            return false;
        }
        let Ok(live) = sqlite::identity(&self.source) else {
            return false;
        };
        let looked = tokio::task::spawn_blocking(move || processes::have_open(&running, live));
        looked
            .await
            .expect("BUG: looking at processes does not panic")
            == Some(false)
    }
}
