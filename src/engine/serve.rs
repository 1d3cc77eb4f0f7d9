//! From the socket to the loop: each call becomes an input, with the operating system's word for who asks.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::input::Input;
use super::lease::Lease;
use super::protocol::{Answer, Request};
use super::socket;
use crate::journal::Folder;

/// Listens until `stop`.
///
/// # Errors
/// The socket cannot be made.
pub fn listen(
    folder: &Folder,
    lease: &Lease,
    inputs: mpsc::UnboundedSender<Input>,
    stop: CancellationToken,
) -> Result<(), socket::Error> {
    let mut calls = socket::serve::<Request, Answer>(folder, lease, stop)?;
    tokio::spawn(async move {
        while let Some(call) = calls.recv().await {
            let (request, peer, answer) = call.split();
            if inputs
                .send(Input::Asked {
                    request,
                    user: peer.user_name,
                    answer,
                })
                .is_err()
            {
                break;
            }
        }
    });
    Ok(())
}
