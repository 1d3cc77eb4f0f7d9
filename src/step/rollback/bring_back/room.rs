//! Whether SQLite's disk has room for the rows that R2+ brings in, looked at before anything is written there: a transaction that finds the disk
//! full is taken back whole, but only after the time that it took, and the application waits meanwhile. Not in here: bringing them in.

use super::Place;
use crate::format::{counted, size};
use crate::salvage::Error;
use crate::salvage::file::Salvaged;
use crate::sqlite::disk;

/// How often the bytes of a row are on the disk: once in SQLite's journal, once in its file.
const COPIES: u64 = 2;

/// Why the rows that are not in SQLite yet have no room on its disk; `None` where they have, and where the system does not say what is free.
pub(super) fn lacking(place: &Place) -> Result<Option<String>, Error> {
    match disk::free_bytes(&place.file) {
        Ok(free_bytes) => lacking_of(place, free_bytes),
        Err(_) => Ok(None),
    }
}

fn lacking_of(place: &Place, free_bytes: u64) -> Result<Option<String>, Error> {
    let salvaged = Salvaged::open(&place.salvage)?;
    let rows = salvaged.rows_not_in(&place.file)?;
    let bytes = salvaged.bytes_not_in(&place.file)?;
    let needed_bytes = bytes.saturating_mul(COPIES);
    Ok((needed_bytes > free_bytes).then(|| {
        format!(
            "the disk of {} has {} free, and {} of {} need about {} there, in SQLite's journal and in its file. None was tried; once there is room, \
             `cutover retry` of this row brings them in",
            disk::of(&place.file).mount.display(),
            size(free_bytes),
            counted(rows, "row"),
            size(bytes),
            size(needed_bytes)
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ids, place};
    use super::*;

    #[test]
    fn rows_that_do_not_fit_are_told_with_both_figures_before_anything_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = place(folder.path());
        // Each row with its longer side: 3 and three, 2 and two, 4.
        let needed_bytes = 2 * (1 + 5 + 1 + 3 + 1);
        assert_eq!(lacking_of(&place, needed_bytes).expect("read"), None);
        let why = lacking_of(&place, needed_bytes - 1).expect("read");
        let why = why.expect("there is no room");
        assert!(why.contains("has 0 KiB free, and 3 rows of 0 KiB"), "{why}");
        assert_eq!(ids(&place), "1,2");
        // What was brought in before needs no room.
        let mut salvaged = Salvaged::open(&place.salvage).expect("a salvage file");
        let noted = salvaged.note_applied(&[1, 2], &place.file, "2026-01-01T00:00:00Z");
        noted.expect("noted");
        assert_eq!(lacking_of(&place, 2).expect("read"), None);
        assert!(lacking_of(&place, 1).expect("read").is_some());
    }
}
