//! The second look: which rows differ, in the partitions whose sums did.
//!
//! Rows of one group of partitions are held at a time, the source's first; a target row that finds its equal lets it go again.
//! What is left when both sides are read are the differences. Memory is bounded by the size of a group, whatever differs.

use super::canon::cells;
use super::equality::{self, decimal::Decimal};
use super::fingerprint::Partitions;
use super::pair::TablePair;
use super::report::{Difference, Kind};
use std::collections::{BTreeMap, HashMap};

/// Canonical bytes of both sides that one group of partitions may hold.
const GROUP_BYTES: u64 = 8 * 1024 * 1024;

/// A set of partitions.
#[derive(Debug, Clone)]
pub(crate) struct Group(Vec<bool>);

impl Group {
    /// Divides the differing partitions, each with its size in bytes, into groups that fit into memory.
    pub(crate) fn divide(differing: &[(usize, u64)], partitions: Partitions) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        let mut room = 0;
        for &(at, size_bytes) in differing {
            if groups.is_empty() || size_bytes > room {
                groups.push(Self(vec![false; partitions.count()]));
                room = GROUP_BYTES;
            }
            if let Some(group) = groups.last_mut() {
                group.0[at] = true;
            }
            room = room.saturating_sub(size_bytes);
        }
        groups
    }

    /// Whether a partition belongs to the group.
    pub(crate) fn holds(&self, partition: usize) -> bool {
        self.0[partition]
    }
}

/// Rows of one side that are the same in every compared column.
#[derive(Debug)]
struct Held {
    canonical: Box<[u8]>,
    shown: Vec<String>,
    address: Option<String>,
    is_new: bool,
    count: u64,
}

/// A row on its way into the table of held rows.
pub(crate) struct Arriving<'a> {
    /// Its canonical form.
    pub(crate) canonical: &'a [u8],
    /// How many bytes of it are the key.
    pub(crate) key_bytes: usize,
    /// One text per column.
    pub(crate) shown: Vec<String>,
    /// What names the row where its table has no key.
    pub(crate) address: Option<String>,
    /// Written after the switch.
    pub(crate) is_new: bool,
}

#[derive(Debug, Default)]
struct Entry {
    source: Vec<Held>,
    target: Vec<Held>,
}

/// The rows of one group that have not found their equal yet, by key.
#[derive(Debug, Default)]
pub(crate) struct Unmatched {
    entries: HashMap<Box<[u8]>, Entry>,
}

impl Unmatched {
    /// Holds a row of the source.
    pub(crate) fn hold_source(&mut self, row: Arriving<'_>) {
        let entry = self
            .entries
            .entry(row.canonical[..row.key_bytes].into())
            .or_default();
        hold(&mut entry.source, row);
    }

    /// Lets a row of the source go that equals this row of the target. False if there is none; the row must then be held.
    /// A row that was written anew after the switch, with the values it had, is a change all the same, and finds nothing here.
    pub(crate) fn let_go(&mut self, canonical: &[u8], key_bytes: usize) -> bool {
        let Some(entry) = self.entries.get_mut(&canonical[..key_bytes]) else {
            return false;
        };
        let Some(at) = entry
            .source
            .iter()
            .position(|held| *held.canonical == *canonical)
        else {
            return false;
        };
        entry.source[at].count -= 1;
        if entry.source[at].count == 0 {
            entry.source.swap_remove(at);
        }
        if entry.source.is_empty() && entry.target.is_empty() {
            self.entries.remove(&canonical[..key_bytes]);
        }
        true
    }

    /// Holds a row of the target that found no equal.
    pub(crate) fn hold_target(&mut self, row: Arriving<'_>) {
        let entry = self
            .entries
            .entry(row.canonical[..row.key_bytes].into())
            .or_default();
        hold(&mut entry.target, row);
    }

    /// What remains are the differences, in the order of the keys.
    pub(crate) fn judge(self, pair: &TablePair, found: &mut Found) {
        let entries: BTreeMap<_, _> = self.entries.into_iter().collect();
        for (key, entry) in entries {
            judge_key(&key, entry, pair, found);
        }
    }
}

fn hold(rows: &mut Vec<Held>, row: Arriving<'_>) {
    if let Some(same) = rows
        .iter_mut()
        .find(|held| *held.canonical == *row.canonical && held.is_new == row.is_new)
    {
        same.count += 1;
        return;
    }
    let Arriving {
        canonical,
        shown,
        address,
        is_new,
        ..
    } = row;
    rows.push(Held {
        canonical: canonical.into(),
        shown,
        address,
        is_new,
        count: 1,
    });
}

/// A difference, and the canonical form of the key it was found under.
pub(crate) type Keyed = (Box<[u8]>, Difference);

/// What the second look found in one table.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Rows that only the source has.
    pub(crate) missing: u64,
    /// Rows that only the target has.
    pub(crate) extra: u64,
    /// Rows that differ.
    pub(crate) different: u64,
    /// Rows of the source whose counterpart was rewritten after the switch.
    pub(crate) changed_since: u64,
    /// Every difference in this group, in the order of the keys.
    pub(crate) differences: Vec<Keyed>,
}

fn judge_key(key: &[u8], entry: Entry, pair: &TablePair, found: &mut Found) {
    let mut targets = entry.target;
    // What was written after the switch accounts for a changed row before anything is called a difference.
    targets.sort_by_key(|held| !held.is_new);
    for mut source in entry.source {
        while source.count > 0 && pair.key_columns > 0 {
            let Some(target) = targets.first_mut() else {
                break;
            };
            let both = source.count.min(target.count);
            source.count -= both;
            target.count -= both;
            if target.is_new {
                found.changed_since += both;
            } else {
                found.different += both;
                columns_that_differ(key, &source, target, pair, found);
            }
            if target.count == 0 {
                targets.remove(0);
            }
        }
        if source.count > 0 {
            found.missing += source.count;
            found.push(key, whole_row(Kind::Missing, &source, pair));
        }
    }
    for target in targets.iter().filter(|held| !held.is_new) {
        found.extra += target.count;
        found.push(key, whole_row(Kind::Extra, target, pair));
    }
}

impl Found {
    fn push(&mut self, key: &[u8], difference: Difference) {
        self.differences.push((key.into(), difference));
    }
}

fn columns_that_differ(
    key: &[u8],
    source: &Held,
    target: &Held,
    pair: &TablePair,
    found: &mut Found,
) {
    let name = row_name(source, pair);
    let both = cells(&source.canonical)
        .zip(cells(&target.canonical))
        .enumerate();
    for (at, _) in both.filter(|(_, (a, b))| a != b) {
        let difference = Difference {
            kind: Kind::Different,
            key: name.clone(),
            column: crate::text::printable(&pair.columns[at].source, 80),
            source: told_apart(
                &source.shown[at],
                &target.shown[at],
                &pair.columns[at].rule.kind,
            ),
            target: target.shown[at].clone(),
        };
        found.push(key, difference);
    }
}

/// A value of the source, with what makes it another one where both look the same: a REAL is no decimal, but the binary fraction beside it.
fn told_apart(source: &str, target: &str, kind: &equality::Kind) -> String {
    let setting = match kind {
        equality::Kind::Numeric { .. } => "real: shortest",
        equality::Kind::Float32 => "real: nearest",
        equality::Kind::Integer
        | equality::Kind::Boolean
        | equality::Kind::Float64
        | equality::Kind::Text
        | equality::Kind::Padded
        | equality::Kind::Bytes
        | equality::Kind::Instant { .. }
        | equality::Kind::Timestamp { .. }
        | equality::Kind::Date
        | equality::Kind::Time { .. }
        | equality::Kind::Interval { .. }
        | equality::Kind::Uuid
        | equality::Kind::Json
        | equality::Kind::JsonText
        | equality::Kind::Address
        | equality::Kind::Label(_)
        | equality::Kind::Array(_)
        | equality::Kind::Verbatim => return source.to_owned(),
    };
    let number = |text: &str| Decimal::parse(text.as_bytes());
    if number(source).is_some() && number(source) == number(target) {
        format!(
            "{source} (a REAL; equal only by `{setting}` of a transfer section, which `--transfer FILE` gives)"
        )
    } else {
        source.to_owned()
    }
}

fn whole_row(kind: Kind, held: &Held, pair: &TablePair) -> Difference {
    let columns = pair.columns.iter().zip(&held.shown);
    let all: Vec<_> = columns
        .map(|(column, shown)| format!("{}={shown}", crate::text::printable(&column.source, 80)))
        .collect();
    let row = match held.count {
        1 => all.join(", "),
        several => format!("{several} × {}", all.join(", ")),
    };
    let (source, target) = match kind {
        Kind::Extra => (String::new(), row),
        Kind::Missing | Kind::Different => (row, String::new()),
    };
    Difference {
        kind,
        key: row_name(held, pair),
        column: String::new(),
        source,
        target,
    }
}

fn row_name(held: &Held, pair: &TablePair) -> String {
    if pair.key_columns == 0 {
        return held.address.clone().unwrap_or_else(|| "no key".to_owned());
    }
    let key = pair.columns[..pair.key_columns].iter().zip(&held.shown);
    let parts: Vec<_> = key
        .map(|(column, shown)| format!("{}={shown}", crate::text::printable(&column.source, 80)))
        .collect();
    parts.join(", ")
}

/// The first differences of each kind, by the order of the keys, whichever partition they were found in.
#[derive(Debug)]
pub(crate) struct Examples {
    limit: usize,
    kept: BTreeMap<Kind, Vec<Keyed>>,
}

impl Examples {
    /// Keeps so many of each kind.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            kept: BTreeMap::new(),
        }
    }

    /// Takes the differences of one group over.
    pub(crate) fn take(&mut self, differences: Vec<Keyed>) {
        for (key, difference) in differences {
            let kept = self.kept.entry(difference.kind).or_default();
            let at = kept.partition_point(|(other, _)| *other <= key);
            if at < self.limit {
                kept.insert(at, (key, difference));
                kept.truncate(self.limit);
            }
        }
    }

    /// All that were kept, kind by kind.
    pub(crate) fn into_differences(self) -> Vec<Difference> {
        self.kept
            .into_values()
            .flatten()
            .map(|(_, difference)| difference)
            .collect()
    }
}

#[cfg(test)]
mod tests;
