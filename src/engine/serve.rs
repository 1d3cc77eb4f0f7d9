//! From the socket to the loop: each call becomes an input, with the operating system's word for who asks.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::input::Input;
use super::lease::Lease;
use super::protocol::{Answer, Request};
use super::signatures::Verifier;
use super::socket;
use crate::journal::Folder;

/// How long a listener may take to end, once it was asked to.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// An engine that listens.
pub struct Listener {
    task: JoinHandle<()>,
}

impl Listener {
    /// Waits until the socket is gone; it was asked to go before.
    pub async fn gone(self) {
        if timeout(GONE_WITHIN, self.task).await.is_err() {
            tracing::warn!("the engine's socket is still there; the next engine removes it");
        }
    }
}

/// Listens until `stop`.
pub fn listen(
    folder: &Folder,
    lease: &Lease,
    verifier: Arc<Verifier>,
    inputs: mpsc::UnboundedSender<Input>,
    stop: CancellationToken,
) -> Result<Listener, socket::Error> {
    let (mut calls, task) = socket::serve_until_gone::<Request, Answer>(folder, lease, stop)?;
    tokio::spawn(async move {
        while let Some(call) = calls.recv().await {
            let (request, peer, answer) = call.split();
            if !Verifier::concerns(&request) {
                let user = peer.user_name;
                let asked = Input::Asked {
                    request,
                    user,
                    answer,
                };
                if inputs.send(asked).is_err() {
                    break;
                }
                continue;
            }
            let (verifier, inputs) = (Arc::clone(&verifier), inputs.clone());
            tokio::spawn(async move {
                let request = verifier.look(request, &peer.user_name).await;
                // An engine that has ended meanwhile answers by having gone.
                let _ = inputs.send(Input::Asked {
                    request,
                    user: peer.user_name,
                    answer,
                });
            });
        }
    });
    Ok(Listener { task })
}
