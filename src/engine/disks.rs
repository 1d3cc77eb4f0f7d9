//! How much room there is on every disk of the session, asked beside the loop.
//!
//! Not in here: how much is needed and what people are told (`session::room`), and the reserve on the session's own disk (`room`).

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::input::Input;
use super::patience::Patience;
use crate::runbook::disks::{ANSWER_LIMIT_MS, ASK_EVERY_MS};
use crate::session::room::{Look, Spot};
use crate::sqlite::disk::{self, Room};

/// How often they are asked.
const ASK_EVERY: Duration = Duration::from_millis(ASK_EVERY_MS.unsigned_abs());
/// How long one may take to answer. All are asked at the same time.
const ANSWER_LIMIT: Duration = Duration::from_millis(ANSWER_LIMIT_MS.unsigned_abs());

/// Disks that are watched; dropping it ends that.
#[derive(Debug)]
pub struct Disks {
    _asking: DropGuard,
}

impl Disks {
    /// Asks from now on. `source` is the file whose size says how large a copy is.
    pub fn watch(spots: Vec<Spot>, source: PathBuf, inputs: mpsc::UnboundedSender<Input>) -> Disks {
        let cancel = CancellationToken::new();
        let asking = ask(spots, source, inputs);
        tokio::spawn(cancel.clone().run_until_cancelled_owned(asking));
        Disks {
            _asking: cancel.drop_guard(),
        }
    }
}

async fn ask(spots: Vec<Spot>, source: PathBuf, inputs: mpsc::UnboundedSender<Input>) {
    let mut disks: Vec<(Spot, Patience<Result<Room, String>>)> = spots
        .into_iter()
        .map(|s| (s, Patience::default()))
        .collect();
    let mut size = Patience::default();
    let mut source_bytes = 0;
    loop {
        let file = source.clone();
        let length = move || file.metadata().map_or(0, |m| m.len());
        let asked = disks
            .iter_mut()
            .map(|(spot, patience)| look(spot, patience));
        let (looks, length) = tokio::join!(
            futures_util::future::join_all(asked),
            size.ask(length, ANSWER_LIMIT)
        );
        source_bytes = length.unwrap_or(source_bytes);
        let looked = Input::Disks {
            looks,
            source_bytes,
        };
        if inputs.send(looked).is_err() {
            return;
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

async fn look(spot: &Spot, patience: &mut Patience<Result<Room, String>>) -> Look {
    let path = spot.path.clone();
    let question = move || disk::room(&path).map_err(|e| e.to_string());
    let asked = patience.ask(question, ANSWER_LIMIT).await;
    let room = asked.unwrap_or_else(|since| {
        Err(format!(
            "the file system has not answered for {} s",
            since.as_secs()
        ))
    });
    Look {
        spot: spot.clone(),
        device: room.as_ref().ok().map(|room| room.device),
        free_bytes: room.map(|room| room.free_bytes),
    }
}
