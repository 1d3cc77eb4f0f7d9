//! Facts whose content is a type of the work itself. Not in here: all others, and how facts are written and read (`session::facts`).

use std::collections::BTreeMap;

use serde::Serialize;

use crate::action;
use crate::fleet::provider::Serving;
use crate::monitor::baseline::Spread;
use crate::parity::moment::Moment;
use crate::postgres::written::Counters;
use crate::session::facts::{Fact, facts};
use crate::sqlite::fingerprint::Fingerprint;
use crate::transfer::copy::TableAccount;

facts! {
    /// F4: what had been written to the target until then.
    WrittenBefore(Counters) = "counters";
    /// R2: by which database each instance served.
    Served(Vec<Serving>) = "serving";
}

/// A1: the SQLite file as it was fenced.
impl Fact for Fingerprint {
    const NAME: &'static str = "fingerprint";
}

/// E1: how PostgreSQL was before its rows were counted.
impl Fact for Moment {
    const NAME: &'static str = "proven";
}

/// P3: how the samples of each signal were spread. For people.
#[derive(Serialize)]
pub struct Spreads<'a>(pub &'a BTreeMap<String, Spread>);

impl Fact for Spreads<'_> {
    const NAME: &'static str = "spread";
}

/// D2: what became of each row. For people.
#[derive(Serialize)]
pub struct Account<'a>(pub &'a [TableAccount]);

impl Fact for Account<'_> {
    const NAME: &'static str = "account";
}

/// The operators' own steps: how the command ended. For people.
#[derive(Serialize)]
pub struct Ended<'a>(pub &'a action::Outcome);

impl Fact for Ended<'_> {
    const NAME: &'static str = "command";
}
