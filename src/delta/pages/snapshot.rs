//! One of the two files: its header, its pages by number, which of them are leaves, and which are known to hold no part of a long row.

use super::NotUnderstood;
use super::bitmap::Bitmap;
use super::header::{self, Header};
use super::node::{self, Kind, Node};
use super::source::Source;

/// A snapshot that is read.
pub(super) struct Snapshot<'a> {
    source: &'a mut dyn Source,
    pub header: Header,
    /// Leaves of tables, and of indexes, by their first bytes, which the comparison has seen of all pages: a walk reads no leaf to know it for one.
    pub table_leaves: Bitmap,
    pub index_leaves: Bitmap,
    /// Pages of trees, free pages, the pointer map, the page around the lock bytes: what is not here is an overflow page, or lost.
    pub known: Bitmap,
    stop: &'a dyn Fn() -> bool,
}

impl<'a> Snapshot<'a> {
    pub fn open(
        source: &'a mut dyn Source,
        stop: &'a dyn Fn() -> bool,
    ) -> Result<Self, NotUnderstood> {
        let bytes = source.bytes();
        if bytes < header::BYTES as u64 {
            let what = "is none of SQLite";
            return Err(NotUnderstood::Header { what });
        }
        let header = Header::read(source.at(0, header::BYTES)?, bytes)?;
        let empty = Bitmap::new(header.pages);
        let mut known = empty.clone();
        for page in 1..=header.pages {
            if header.is_structure(page) {
                known.put(page);
            }
        }
        Ok(Self {
            source,
            header,
            table_leaves: empty.clone(),
            index_leaves: empty,
            known,
            stop,
        })
    }

    /// The bytes of some pages, one behind the other.
    pub fn pages(&mut self, first: u32, count: u32) -> Result<&[u8], NotUnderstood> {
        let length = count as usize * self.header.page_bytes as usize;
        self.bytes(first, length)
    }

    /// So many bytes from a page's first on.
    fn bytes(&mut self, page: u32, length: usize) -> Result<&[u8], NotUnderstood> {
        if (self.stop)() {
            return Err(NotUnderstood::Stopped);
        }
        let before = u64::from(page.saturating_sub(1));
        self.source
            .at(before * u64::from(self.header.page_bytes), length)
    }

    /// The bytes of a page that somebody in the file has named.
    pub fn page(&mut self, page: u32) -> Result<&[u8], NotUnderstood> {
        if !self.header.has(page) {
            let what = "is named, and the file ends before it";
            return Err(NotUnderstood::Page { page, what });
        }
        self.pages(page, 1)
    }

    /// A page as one of a tree, to be looked at with the header.
    pub fn node<T>(
        &mut self,
        page: u32,
        look: impl FnOnce(&Node<'_>, &Header) -> Result<T, NotUnderstood>,
    ) -> Result<T, NotUnderstood> {
        let header = self.header.clone();
        let bytes = self.page(page)?;
        look(&Node::read(page, bytes, &header)?, &header)
    }

    /// What the comparison has seen of a page.
    pub fn note(&mut self, page: u32, kind: Option<Kind>) {
        match kind {
            Some(Kind::TableLeaf) => self.table_leaves.put(page),
            Some(Kind::IndexLeaf) => self.index_leaves.put(page),
            Some(Kind::TableInner | Kind::IndexInner) | None => false,
        };
    }

    /// The page that comes behind an overflow page.
    pub fn behind(&mut self, page: u32) -> Result<u32, NotUnderstood> {
        let bytes = self.bytes(page, 4)?;
        Ok(node::number(bytes, 0).unwrap_or_default())
    }

    /// A page is what somebody has found it to be, and nothing else.
    pub fn know(&mut self, page: u32) -> Result<(), NotUnderstood> {
        if self.header.has(page) && self.known.put(page) {
            return Ok(());
        }
        let what = "is named twice, or for two purposes";
        Err(NotUnderstood::Page { page, what })
    }

    /// All free pages become known.
    pub fn know_free_pages(&mut self) -> Result<(), NotUnderstood> {
        let mut trunk = self.header.first_trunk;
        let mut found: u64 = 0;
        let most = self.header.usable / 4 - 2;
        while trunk != 0 {
            self.know(trunk)?;
            let what = "is no list of free pages";
            let not = NotUnderstood::Page { page: trunk, what };
            let bytes = self.page(trunk)?;
            let next = node::number(bytes, 0).unwrap_or_default();
            let count = node::number(bytes, 4).unwrap_or_default();
            if count > most {
                return Err(not);
            }
            let free: Vec<u32> = (0..count as usize)
                .filter_map(|n| node::number(bytes, 8 + 4 * n))
                .collect();
            for page in free {
                self.know(page)?;
            }
            found += 1 + u64::from(count);
            trunk = next;
        }
        if found == u64::from(self.header.free) {
            return Ok(());
        }
        let what = "counts other free pages than there are";
        Err(NotUnderstood::Header { what })
    }
}
