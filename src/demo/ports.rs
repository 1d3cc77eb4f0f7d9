//! Ports for what the sandbox starts.

use std::net::{Ipv4Addr, TcpListener};

use rand::Rng;

/// Below the range from which systems take the near end of outgoing connections: a port that is free now and is wanted again
/// after a restart must not become somebody's outgoing connection in between.
const RANGE: std::ops::Range<u16> = 10_240..30_000;
const ATTEMPTS: u32 = 200;

/// Distinct ports of 127.0.0.1 on which nobody listens.
pub(super) fn free(count: usize) -> std::io::Result<Vec<u16>> {
    let mut held: Vec<TcpListener> = Vec::with_capacity(count);
    for _ in 0..ATTEMPTS {
        if held.len() == count {
            break;
        }
        let port = rand::rng().random_range(RANGE);
        held.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    }
    if held.len() < count {
        return Err(std::io::Error::other(format!(
            "no {count} free ports on 127.0.0.1 between {} and {}",
            RANGE.start, RANGE.end
        )));
    }
    held.iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect()
}
