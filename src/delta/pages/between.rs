//! From two files to the rows that may differ: what is on a leaf that both trees of a table have, with the same bytes, is the same in both;
//! everything else is named, and so is a row with an overflow page that changed.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::bitmap::Bitmap;
use super::compare::{self, Changed};
use super::overflow::Chains;
use super::ranges::Ranges;
use super::schema::{self, Entry};
use super::snapshot::Snapshot;
use super::source::Source;
use super::tree::Walk;
use super::{Candidates, NotUnderstood, Rows, Why};

/// Which rows may differ, for each table that one of the two has, by its name.
///
/// # Errors
/// Something in one of them is not as this reader knows it, or `stop` says so.
pub fn between(
    older: &mut dyn Source,
    newer: &mut dyn Source,
    stop: &dyn Fn() -> bool,
) -> Result<Vec<Candidates>, NotUnderstood> {
    let older = Snapshot::open(older, stop)?;
    let newer = Snapshot::open(newer, stop)?;
    alike(&older, &newer)?;
    let mut both = Both::compared(older, newer)?;
    let mut tables = both.tables()?;
    both.long_rows(&mut tables)?;
    let candidates = tables.into_iter().map(|table| Candidates {
        rows: table.found.rows(),
        table: table.name,
    });
    Ok(candidates.collect())
}

/// What a page means must not depend on which of the files it is in.
fn alike(older: &Snapshot<'_>, newer: &Snapshot<'_>) -> Result<(), NotUnderstood> {
    let (older, newer) = (&older.header, &newer.header);
    let parts = [
        ("page size", older.page_bytes, newer.page_bytes),
        ("bytes of a page in use", older.usable, newer.usable),
        ("encoding", older.encoding, newer.encoding),
        ("schema format", older.schema_format, newer.schema_format),
    ];
    let other = parts.iter().find(|(_, older, newer)| older != newer);
    other.map_or(Ok(()), |part| Err(NotUnderstood::Unlike { what: part.0 }))
}

/// A table on the way to its candidates.
struct Table {
    name: String,
    /// Its tree in the newer file.
    root: u32,
    found: Found,
}

enum Found {
    Rowids(Ranges),
    /// WITHOUT ROWID; whether something in its tree changed.
    Keys(bool),
    Whole(Why),
}

impl Found {
    fn rows(self) -> Rows {
        match self {
            Self::Rowids(ranges) => ranges
                .finish()
                .map_or(Rows::Whole(Why::Scattered), Rows::Ranges),
            Self::Keys(true) => Rows::Whole(Why::WithoutRowid),
            Self::Keys(false) => Rows::Ranges(Vec::new()),
            Self::Whole(why) => Rows::Whole(why),
        }
    }
}

/// Both files, and what the comparison has found.
struct Both<'a> {
    older: Snapshot<'a>,
    newer: Snapshot<'a>,
    changed: Changed,
    /// Every tree of the newer file, and whether it is a table's with rowids.
    trees: Vec<(u32, bool)>,
}

impl<'a> Both<'a> {
    fn compared(mut older: Snapshot<'a>, mut newer: Snapshot<'a>) -> Result<Self, NotUnderstood> {
        let changed = compare::changed(&mut older, &mut newer)?;
        older.know_free_pages()?;
        newer.know_free_pages()?;
        Ok(Self {
            older,
            newer,
            changed,
            trees: Vec::new(),
        })
    }

    /// The tables with what their own trees tell. Every page of every tree becomes known.
    fn tables(&mut self) -> Result<Vec<Table>, NotUnderstood> {
        let mut pairs: BTreeMap<String, [Option<Entry>; 2]> = BTreeMap::new();
        for (side, schema) in [
            schema::read(&mut self.older)?,
            schema::read(&mut self.newer)?,
        ]
        .into_iter()
        .enumerate()
        {
            for entry in schema {
                if !entry.is_own() {
                    self.know(side, entry.root)?;
                    continue;
                }
                let page = entry.root;
                let pair = pairs.entry(entry.name.clone()).or_default();
                if pair[side].replace(entry).is_some() {
                    let what = "is the root of a table whose name another has";
                    return Err(NotUnderstood::Page { page, what });
                }
            }
        }
        let mut tables = Vec::with_capacity(pairs.len());
        for (name, pair) in pairs {
            let root = pair[1].as_ref().map_or(0, |entry| entry.root);
            let found = self.pair(pair)?;
            tables.push(Table { name, root, found });
        }
        Ok(tables)
    }

    /// All pages of one file's tree become known; whether it is a table's with rowids.
    fn know(&mut self, side: usize, root: u32) -> Result<bool, NotUnderstood> {
        let is_newer = side == 1;
        let snapshot = if is_newer {
            &mut self.newer
        } else {
            &mut self.older
        };
        let mut walk = Walk::first(snapshot, root)?;
        while walk.next(snapshot)?.is_some() {}
        if is_newer {
            self.trees.push((root, walk.is_table()));
        }
        Ok(walk.is_table())
    }

    fn pair(&mut self, pair: [Option<Entry>; 2]) -> Result<Found, NotUnderstood> {
        let mut is_table = [false; 2];
        for (side, entry) in pair.iter().enumerate() {
            if let Some(entry) = entry {
                is_table[side] = self.know(side, entry.root)?;
            }
        }
        let [Some(older), Some(newer)] = pair else {
            return Ok(Found::Whole(Why::InOneAlone));
        };
        if older.statement != newer.statement || is_table[0] != is_table[1] {
            return Ok(Found::Whole(Why::OtherSchema));
        }
        let is_table = is_table[0];
        let is_changed = older.root != newer.root || self.is_changed(newer.root, is_table)?;
        Ok(match (is_table, is_changed) {
            (false, _) => Found::Keys(is_changed),
            (true, true) => Found::Rowids(self.rowids(older.root, newer.root)?),
            (true, false) => Found::Rowids(Ranges::default()),
        })
    }

    /// The rowids of each leaf that is not in both trees with the same bytes.
    fn rowids(&mut self, older: u32, newer: u32) -> Result<Ranges, NotUnderstood> {
        let before = leaves(&mut self.older, older)?;
        let after = leaves(&mut self.newer, newer)?;
        let mut ranges = Ranges::default();
        for (snapshot, root) in [(&mut self.newer, newer), (&mut self.older, older)] {
            let mut walk = Walk::again(root, true);
            while let Some(step) = walk.next(snapshot)? {
                let page = step.page;
                if !step.is_leaf {
                    continue;
                }
                if before.has(page) && after.has(page) && !self.changed.has(page) {
                    ranges.gap();
                } else {
                    ranges.leaf(rows_of(snapshot, page)?);
                }
            }
            ranges.gap();
        }
        Ok(ranges)
    }

    /// Whether a page of a tree changed. Where none did, from the root on, the older tree is this one.
    fn is_changed(&mut self, root: u32, is_table: bool) -> Result<bool, NotUnderstood> {
        let mut walk = Walk::again(root, is_table);
        while let Some(step) = walk.next(&mut self.newer)? {
            if self.changed.has(step.page) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Finds the rows of overflow pages that changed. A row whose leaf stayed begins at the same overflow page in both files, and is the same
    /// in both up to the first of its overflow pages that changed: both files have that one.
    fn long_rows(&mut self, tables: &mut [Table]) -> Result<(), NotUnderstood> {
        let unknown = self.changed.unknown(&self.newer);
        let mut chains = Chains::of(unknown, self.newer.header.pages);
        for (root, is_table) in self.trees.clone() {
            let mut walk = Walk::again(root, is_table);
            while !chains.are_found()
                && let Some(step) = walk.next(&mut self.newer)?
            {
                // These rows are named already.
                if self.changed.has(step.page) {
                    chains.rows_of(&mut self.newer, step.page)?;
                }
            }
        }
        for table in tables {
            let is_table = match table.found {
                Found::Rowids(_) => true,
                Found::Keys(_) => false,
                Found::Whole(_) => continue,
            };
            let mut walk = Walk::again(table.root, is_table);
            while !chains.are_found()
                && let Some(step) = walk.next(&mut self.newer)?
            {
                if self.changed.has(step.page) || (is_table && !step.is_leaf) {
                    continue;
                }
                let rows = chains.rows_of(&mut self.newer, step.page)?;
                match &mut table.found {
                    Found::Rowids(ranges) => rows.iter().for_each(|row| ranges.add(*row..=*row)),
                    Found::Keys(is_changed) => *is_changed |= !rows.is_empty(),
                    Found::Whole(_) => {}
                }
            }
        }
        Ok(())
    }
}

/// The leaves of a table that is known.
fn leaves(snapshot: &mut Snapshot<'_>, root: u32) -> Result<Bitmap, NotUnderstood> {
    let mut leaves = Bitmap::new(snapshot.header.pages);
    let mut walk = Walk::again(root, true);
    while let Some(step) = walk.next(snapshot)? {
        if step.is_leaf {
            leaves.put(step.page);
        }
    }
    Ok(leaves)
}

/// From the least rowid of a leaf to the greatest; None: it has no rows.
fn rows_of(
    snapshot: &mut Snapshot<'_>,
    page: u32,
) -> Result<Option<RangeInclusive<i64>>, NotUnderstood> {
    snapshot.node(page, |node, header| {
        let mut rows: Option<RangeInclusive<i64>> = None;
        for place in 0..node.cells {
            let rowid = node.cell(place, header)?.rowid;
            rows = Some(match rows {
                Some(rows) => rowid.min(*rows.start())..=rowid.max(*rows.end()),
                None => rowid..=rowid,
            });
        }
        Ok(rows)
    })
}
