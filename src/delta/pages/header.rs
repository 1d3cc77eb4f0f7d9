//! The first 100 bytes of a file of SQLite: how its pages are to be read, and which of them hold no data of a table or an index.

use super::NotUnderstood;

/// How long the header is.
pub(super) const BYTES: usize = 100;
/// Where SQLite's locks lie; the page around it is never written.
const LOCK_BYTE: u32 = 0x4000_0000;
/// Bytes of a pointer map's entry.
const MAP_ENTRY_BYTES: u32 = 5;

/// What the header says, as far as a comparison needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub page_bytes: u32,
    /// Bytes of a page without those that an extension has reserved at its end.
    pub usable: u32,
    /// How many pages the database has.
    pub pages: u32,
    pub encoding: u32,
    pub schema_format: u32,
    /// Whether pages of a pointer map lie between the others (auto_vacuum).
    pub has_map: bool,
    pub first_trunk: u32,
    pub free: u32,
}

impl Header {
    pub fn read(bytes: &[u8], file_bytes: u64) -> Result<Self, NotUnderstood> {
        let not = |what| Err(NotUnderstood::Header { what });
        if bytes.len() < BYTES || !bytes.starts_with(b"SQLite format 3\0") {
            return not("is none of SQLite");
        }
        let page_bytes = match u32::from(bytes[16]) << 8 | u32::from(bytes[17]) {
            1 => 65_536,
            other => other,
        };
        if !page_bytes.is_power_of_two() || page_bytes < 512 {
            return not("names a page size that SQLite does not have");
        }
        if !matches!((bytes[18], bytes[19]), (1 | 2, 1 | 2)) {
            return not("is of a later version of the format");
        }
        if bytes[21..24] != [64, 32, 32] {
            return not("names payload fractions that SQLite does not have");
        }
        let usable = page_bytes - u32::from(bytes[20]);
        if usable < 480 {
            return not("reserves more of a page than SQLite does");
        }
        let read = Self {
            page_bytes,
            usable,
            pages: pages(bytes, page_bytes, file_bytes)?,
            encoding: number(bytes, 56),
            schema_format: number(bytes, 44),
            has_map: number(bytes, 52) != 0,
            first_trunk: number(bytes, 32),
            free: number(bytes, 36),
        };
        if read.encoding > 3 || read.schema_format > 4 {
            return not("names an encoding or a schema format that SQLite does not have");
        }
        Ok(read)
    }

    /// Whether it has a place in the file.
    pub fn has(&self, page: u32) -> bool {
        (1..=self.pages).contains(&page)
    }

    /// Whether a page is the one around the lock bytes, or one of the pointer map: neither holds rows.
    pub fn is_structure(&self, page: u32) -> bool {
        let lock = LOCK_BYTE / self.page_bytes + 1;
        if page == lock {
            return true;
        }
        if !self.has_map || page < 2 {
            return false;
        }
        let group = self.usable / MAP_ENTRY_BYTES + 1;
        let map = (page - 2) / group * group + 2;
        page == if map == lock { map + 1 } else { map }
    }

    /// Bytes of a row that an overflow page holds.
    pub fn overflow_bytes(&self) -> u32 {
        self.usable - 4
    }
}

/// SQLite believes the header's number of pages only where the program that wrote last has known of it; else the file's length counts.
fn pages(bytes: &[u8], page_bytes: u32, file_bytes: u64) -> Result<u32, NotUnderstood> {
    let not = |what| NotUnderstood::Header { what };
    let by_length = file_bytes / u64::from(page_bytes);
    let by_header = number(bytes, 28);
    let is_valid = by_header != 0 && bytes[24..28] == bytes[92..96];
    let pages = if is_valid {
        u64::from(by_header)
    } else {
        by_length
    };
    if pages == 0 || pages > by_length {
        return Err(not("names more pages than the file has"));
    }
    // The last number is SQLite's own limit.
    let pages = u32::try_from(pages).ok().filter(|n| *n <= 0xffff_fffe);
    pages.ok_or(not("names more pages than SQLite can have"))
}

/// The number of four bytes at a place that is known to be there.
fn number(bytes: &[u8], at: usize) -> u32 {
    let four = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
    u32::from_be_bytes(four)
}

#[cfg(test)]
mod tests {
    use super::Header;

    fn header(page_bytes: u32, has_map: bool) -> Header {
        Header {
            page_bytes,
            usable: page_bytes,
            pages: u32::MAX - 1,
            encoding: 1,
            schema_format: 4,
            has_map,
            first_trunk: 0,
            free: 0,
        }
    }

    #[test]
    fn a_pointer_map_lies_where_sqlite_puts_it() {
        let with = header(512, true);
        // 512 / 5 = 102 entries, so that every 103rd page from the second on is of the map.
        let first: Vec<u32> = (1..400).filter(|n| with.is_structure(*n)).collect();
        assert_eq!(first, [2, 105, 208, 311]);
        assert!(!(1..400).any(|n| header(512, false).is_structure(n)));
    }

    #[test]
    fn the_page_around_the_lock_bytes_holds_nothing() {
        for (page_bytes, page) in [(512, 2_097_153), (4096, 262_145), (65_536, 16_385)] {
            let header = header(page_bytes, false);
            assert!(header.is_structure(page));
            assert!(!header.is_structure(page - 1) && !header.is_structure(page + 1));
        }
    }
}
