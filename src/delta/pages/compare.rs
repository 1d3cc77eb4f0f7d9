//! Both files read from their beginning to their end: which pages differ, and which look like leaves.

use super::NotUnderstood;
use super::bitmap::Bitmap;
use super::node;
use super::snapshot::Snapshot;

/// What is read at once.
const STRETCH_BYTES: u32 = 1 << 20;

/// The pages that do not hold the same bytes in both files.
pub(super) struct Changed {
    pages: Bitmap,
    /// The last page that both files have.
    last_of_both: u32,
}

impl Changed {
    /// Whether a page is another, or one file alone has it.
    pub fn has(&self, page: u32) -> bool {
        page > self.last_of_both || self.pages.has(page)
    }

    /// Those that both files have and of which the newer one does not know what they are: parts of its long rows.
    pub fn unknown(&self, newer: &Snapshot<'_>) -> Bitmap {
        self.pages.without(&newer.known)
    }
}

/// Compares both files. Each knows its leaves afterwards.
pub(super) fn changed(
    older: &mut Snapshot<'_>,
    newer: &mut Snapshot<'_>,
) -> Result<Changed, NotUnderstood> {
    let last_of_both = older.header.pages.min(newer.header.pages);
    let page_bytes = older.header.page_bytes as usize;
    let at_once = STRETCH_BYTES / older.header.page_bytes;
    let mut pages = Bitmap::new(last_of_both);
    let mut kinds = Vec::new();
    let mut first = 1;
    while first <= last_of_both {
        let count = at_once.min(last_of_both - first + 1);
        let [before, after] = [older.pages(first, count)?, newer.pages(first, count)?];
        let is_same = before == after;
        let before = before.chunks_exact(page_bytes);
        let after = after.chunks_exact(page_bytes);
        for ((before, after), page) in before.zip(after).zip(first..) {
            if !is_same && before != after {
                pages.put(page);
            }
            kinds.push((page, node::kind(page, before), node::kind(page, after)));
        }
        for (page, before, after) in kinds.drain(..) {
            older.note(page, before);
            newer.note(page, after);
        }
        first += count;
    }
    leaves(older, last_of_both + 1, at_once)?;
    leaves(newer, last_of_both + 1, at_once)?;
    Ok(Changed {
        pages,
        last_of_both,
    })
}

/// The leaves among the pages that one file alone has.
fn leaves(snapshot: &mut Snapshot<'_>, mut first: u32, at_once: u32) -> Result<(), NotUnderstood> {
    let page_bytes = snapshot.header.page_bytes as usize;
    while first <= snapshot.header.pages {
        let count = at_once.min(snapshot.header.pages - first + 1);
        let bytes = snapshot.pages(first, count)?.chunks_exact(page_bytes);
        let kinds: Vec<_> = bytes
            .zip(first..)
            .map(|(bytes, page)| (page, node::kind(page, bytes)))
            .collect();
        for (page, kind) in kinds {
            snapshot.note(page, kind);
        }
        first += count;
    }
    Ok(())
}
