//! Long rows: their overflow pages can change while their leaf does not, and nothing on such a page says whose it is. So rows are followed from
//! their leaves: first those of pages that changed, which explain most of what changed, and the others only where that leaves something over.

use super::NotUnderstood;
use super::bitmap::Bitmap;
use super::node::{Kind, Overflow};
use super::snapshot::Snapshot;

/// The overflow pages that changed and that no row has been found for yet.
pub(super) struct Chains {
    changed: Bitmap,
    left: u64,
    /// Pages that belong to a row that was followed: they belong to no other.
    seen: Bitmap,
}

impl Chains {
    pub fn of(changed: Bitmap, last: u32) -> Self {
        Self {
            left: changed.count(),
            changed,
            seen: Bitmap::new(last),
        }
    }

    /// Whether the row of each has been found.
    pub fn are_found(&self) -> bool {
        self.left == 0
    }

    /// The rows of a page of a tree of which an overflow page changed (rowid 0 in an index).
    pub fn rows_of(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        page: u32,
    ) -> Result<Vec<i64>, NotUnderstood> {
        let long = snapshot.node(page, |node, header| {
            let mut long = Vec::new();
            if node.kind == Kind::TableInner {
                return Ok(long);
            }
            for place in 0..node.cells {
                let cell = node.cell(place, header)?;
                long.extend(cell.overflow.map(|overflow| (cell.rowid, overflow)));
            }
            Ok(long)
        })?;
        let mut changed = Vec::new();
        for (rowid, overflow) in long {
            if self.follow(snapshot, overflow)? {
                changed.push(rowid);
            }
        }
        Ok(changed)
    }

    /// Whether one of the row's overflow pages changed.
    fn follow(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        overflow: Overflow,
    ) -> Result<bool, NotUnderstood> {
        let mut is_changed = false;
        let mut page = overflow.first;
        let pages = overflow.bytes.div_ceil(snapshot.header.overflow_bytes());
        for ahead in (0..pages).rev() {
            let is_own = snapshot.header.has(page) && !snapshot.known.has(page);
            if !is_own || !self.seen.put(page) {
                let what = "is named as a part of a row, and is something else";
                return Err(NotUnderstood::Page { page, what });
            }
            if self.changed.take(page) {
                self.left -= 1;
                is_changed = true;
            }
            if ahead > 0 {
                page = snapshot.behind(page)?;
            }
        }
        Ok(is_changed)
    }
}
