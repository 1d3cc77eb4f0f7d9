//! The monitoring checklist: each item green, red or blind, and for how long it has been green without a break.

use super::{Cadence, Sample};
use crate::session::live::ItemView;
use crate::session::{Charter, Session};

/// Judges samples by the charter's checklist (M rows).
#[derive(Debug, Clone)]
pub struct Checklist {}

impl Checklist {
    /// A checklist that has seen nothing: all of it is blind.
    pub fn new(charter: &Charter, cadence: Cadence) -> Checklist {
        let _ = (charter, cadence);
        Checklist {}
    }

    /// Judges a sample.
    pub fn observe(&mut self, sample: &Sample, session: &Session) {
        let _ = (sample, session);
    }

    /// Every item, in the charter's order.
    pub fn views(&self, session: &Session, now_ms: i64) -> Vec<ItemView> {
        let _ = (session, now_ms);
        Vec::new()
    }
}

/// For how long *all* items have been green without a break, in runbook time; 0 while any is not. What G2 compares.
pub fn all_green_for_ms(items: &[ItemView]) -> i64 {
    items
        .iter()
        .map(|item| match item.green {
            Some(true) => item.green_for_ms,
            _ => 0,
        })
        .min()
        .unwrap_or(0)
}
