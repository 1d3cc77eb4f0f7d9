//! Whether every value that a column of the target may hold comes back exactly, told before anybody has written one.
//!
//! There is no second table of rules: [`Reverse`] itself is asked, about the values at the edges of the column's type ([`super::edges`]).
//! Not in here: reading both schemas and the examples (`salvage::beforehand`).

use serde::Serialize;

use super::edges::{Edge, edges};
use super::{Back, Reverse, kept};
use crate::parity::ValueKind as Kind;

/// Longer values are cut in what people read.
const SHOWN: usize = 40;

/// Which values of a column would not come back exactly.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Exactness {
    /// By sort of value; none where every value comes back.
    pub exceptions: Vec<Exception>,
}

/// One sort of value that does not come back exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exception {
    /// Which values, in words.
    pub values: String,
    /// One of them, as PostgreSQL writes it.
    pub example: String,
    /// What SQLite would have for that one at best, as a literal; none where the column has no form for it.
    pub nearest: Option<String>,
    /// An application that has lived on SQLite hardly writes it: infinity, NaN, a year before 1.
    pub rare: bool,
}

impl Exception {
    /// For people.
    pub fn sentence(&self) -> String {
        let values = crate::text::printable(&self.values, 120);
        match &self.nearest {
            Some(nearest) => format!("{values}: {} would be {nearest}", self.example),
            None => format!("{values}: {} has no form in SQLite", self.example),
        }
    }
}

impl Exactness {
    /// Whether every value comes back.
    pub fn is_exact(&self) -> bool {
        self.exceptions.is_empty()
    }

    /// Whether every value comes back that an application usually writes.
    pub fn is_exact_but_for_rare(&self) -> bool {
        self.exceptions.iter().all(|exception| exception.rare)
    }
}

impl Reverse {
    /// What this column's values would come to, whichever of its type they are.
    pub fn exactness(&self) -> Exactness {
        let ladders = edges(&self.rule.kind, &self.rule.policy);
        let told = |ladder: &Vec<Edge>| ladder.iter().find_map(|edge| self.exception(edge));
        let mut exceptions: Vec<_> = ladders.iter().filter_map(told).collect();
        exceptions.extend(self.counts_that_stand_for_others());
        Exactness { exceptions }
    }

    fn exception(&self, edge: &Edge) -> Option<Exception> {
        let nearest = match self.value(Some(&edge.text)) {
            Back::Exact(_) => return None,
            Back::Nearest(cell) => Some(kept::changed(&cell, self.affinity).unwrap_or(cell)),
            Back::None => None,
        };
        Some(Exception {
            values: edge.values.clone(),
            example: crate::text::printable(&edge.text, SHOWN),
            nearest: nearest.map(|cell| cell.shown(SHOWN)),
            rare: edge.rare,
        })
    }

    /// Moments whose count stands for something else (`values: { 0: null }`): they would be read as that.
    fn counts_that_stand_for_others(&self) -> Vec<Exception> {
        let is_counted = matches!(
            self.rule.kind,
            Kind::Instant { .. } | Kind::Timestamp { .. } | Kind::Date | Kind::Interval { .. }
        ) && self.rule.policy.epoch.is_some();
        let counts = self.rule.policy.values.keys();
        let counts = counts.filter(|from| is_counted && from.parse::<f64>().is_ok());
        let exception = |from: &String| Exception {
            values: format!("what {from} would count, which stands for something else"),
            example: from.clone(),
            nearest: Some(from.clone()),
            rare: true,
        };
        counts.map(exception).collect()
    }
}
