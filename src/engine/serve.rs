//! From the socket to the loop: each call becomes an input, with the operating system's word for who asks.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::input::Input;
use super::lease::Lease;
use super::protocol::{Answer, Request};
use super::signatures::Verifier;
use super::socket;
use crate::journal::Folder;

/// Listens until `stop`.
///
/// # Errors
/// The socket cannot be made.
pub fn listen(
    folder: &Folder,
    lease: &Lease,
    verifier: Arc<Verifier>,
    inputs: mpsc::UnboundedSender<Input>,
    stop: CancellationToken,
) -> Result<(), socket::Error> {
    let mut calls = socket::serve::<Request, Answer>(folder, lease, stop)?;
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
    Ok(())
}
