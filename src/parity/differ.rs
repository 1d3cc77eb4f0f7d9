//! The second look: which rows differ, in the partitions whose sums did.
//!
//! Rows of one group of partitions are held at a time, the source's first; a target row that finds its equal lets it go again.
//! What is left when both sides are read are the differences. Memory is bounded by the size of a group, whatever differs.

use super::canon::cells;
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
            source: source.shown[at].clone(),
            target: target.shown[at].clone(),
        };
        found.push(key, difference);
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
        _ => (row, String::new()),
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
mod tests {
    use super::super::canon::Row;
    use super::super::equality::{Kind as TypeKind, Rule};
    use super::super::pair::ColumnPair;
    use super::super::source_value::Encoding;
    use super::*;
    use crate::runbook::transfer::ColumnPolicy;

    fn pair(key_columns: usize) -> TablePair {
        let column = |name: &str| ColumnPair {
            source: name.to_owned(),
            target: name.to_owned(),
            rule: Rule {
                kind: TypeKind::Text,
                policy: ColumnPolicy::default(),
                zone: None,
                default: None,
            },
            computed: false,
        };
        TablePair {
            source: "T".into(),
            schema: "public".into(),
            target: "T".into(),
            columns: vec![column("k"), column("v")],
            key_columns,
            rowid: None,
            aside: None,
            nulled: None,
            source_key: Vec::new(),
            is_partitioned: false,
            has_long_values: false,
            has_computed: false,
            encoding: Encoding::Utf8,
            size_bytes: 0,
        }
    }

    fn compare(
        key_columns: usize,
        source: &[(&str, &str)],
        target: &[(&str, &str, bool)],
    ) -> Found {
        let mut unmatched = Unmatched::default();
        let form = |k: &str, v: &str| {
            let mut row = Row::default();
            row.value(k.as_bytes());
            let mark = row.mark();
            row.value(v.as_bytes());
            let key_bytes = if key_columns == 0 { row.mark() } else { mark };
            (
                row.bytes().to_vec(),
                key_bytes,
                vec![k.to_owned(), v.to_owned()],
            )
        };
        for (k, v) in source {
            let (canonical, key_bytes, shown) = form(k, v);
            unmatched.hold_source(Arriving {
                canonical: &canonical,
                key_bytes,
                shown,
                address: None,
                is_new: false,
            });
        }
        for (k, v, is_new) in target {
            let (canonical, key_bytes, shown) = form(k, v);
            if *is_new || !unmatched.let_go(&canonical, key_bytes) {
                unmatched.hold_target(Arriving {
                    canonical: &canonical,
                    key_bytes,
                    shown,
                    address: None,
                    is_new: *is_new,
                });
            }
        }
        let mut found = Found::default();
        unmatched.judge(&pair(key_columns), &mut found);
        found
    }

    fn counts(found: &Found) -> (u64, u64, u64, u64) {
        (
            found.missing,
            found.extra,
            found.different,
            found.changed_since,
        )
    }

    #[test]
    fn names_what_is_missing_extra_and_different() {
        let found = compare(
            1,
            &[("1", "a"), ("2", "b"), ("3", "c")],
            &[("1", "a", false), ("2", "x", false), ("4", "d", false)],
        );
        assert_eq!(counts(&found), (1, 1, 1, 0));
        let different = found
            .differences
            .iter()
            .find(|(_, d)| d.kind == Kind::Different)
            .expect("one differs");
        assert_eq!(
            (different.1.key.as_str(), different.1.column.as_str()),
            ("k=2", "v")
        );
        assert_eq!(
            (different.1.source.as_str(), different.1.target.as_str()),
            ("b", "x")
        );
    }

    #[test]
    fn duplicates_count() {
        assert_eq!(
            counts(&compare(0, &[("1", "a"), ("1", "a")], &[("1", "a", false)])),
            (1, 0, 0, 0)
        );
        assert_eq!(
            counts(&compare(
                1,
                &[("1", "a")],
                &[("1", "a", false), ("1", "a", false)]
            )),
            (0, 1, 0, 0)
        );
        assert_eq!(
            counts(&compare(0, &[("1", "a")], &[("1", "b", false)])),
            (1, 1, 0, 0)
        );
    }

    #[test]
    fn what_the_application_wrote_after_the_switch_is_no_difference() {
        assert_eq!(
            counts(&compare(1, &[("1", "a")], &[("1", "b", true)])),
            (0, 0, 0, 1)
        );
        assert_eq!(
            counts(&compare(1, &[("1", "a")], &[("1", "a", true)])),
            (0, 0, 0, 1)
        );
        assert_eq!(counts(&compare(1, &[], &[("1", "b", true)])), (0, 0, 0, 0));
    }

    #[test]
    fn the_first_examples_are_the_first_by_key() {
        let mut examples = Examples::new(2);
        let found = compare(1, &[("3", "c"), ("1", "a"), ("2", "b")], &[]);
        examples.take(found.differences);
        let keys: Vec<_> = examples
            .into_differences()
            .into_iter()
            .map(|d| d.key)
            .collect();
        assert_eq!(keys, ["k=1", "k=2"]);
    }

    #[test]
    fn groups_hold_every_differing_partition_once() {
        let differing: Vec<_> = (0..100).map(|at| (at, GROUP_BYTES / 3)).collect();
        let groups = Group::divide(&differing, Partitions::of_table(0));
        assert_eq!(groups.len(), 34);
        for at in 0..100 {
            assert_eq!(groups.iter().filter(|group| group.holds(at)).count(), 1);
        }
    }
}
