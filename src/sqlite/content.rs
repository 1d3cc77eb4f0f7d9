//! SHA-256 over what a database holds, wherever its pages lie: in the file, or in the write-ahead log beside it.
//!
//! A checkpoint moves pages from the log into the file and changes nothing of this digest; every commit that changes a page changes it.
//! [`super::fingerprint`] is cheaper and cannot decide about a checkpoint. Stable only while nobody writes: [`super::watch`] tells.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use super::error::Error;
use super::fingerprint::fill;
use super::open::sibling;
use crate::format::hex;

const WAL_HEADER_BYTES: u64 = 32;
const FRAME_HEADER_BYTES: u64 = 24;
/// Bytes of the first page that say how the file is written, not what it holds: the journal mode's two version numbers, the change
/// counter, the schema cookie (an online backup moves it, and a change of the schema changes other bytes too), the counter for which the
/// page count is valid, the version of the library that wrote last.
const NOT_CONTENT: [std::ops::Range<usize>; 4] = [18..20, 24..28, 40..44, 92..100];

/// The digest of the database at `path`, 64 lower-case hexadecimal characters.
///
/// # Errors
/// The file or its log cannot be read, or the file is no SQLite database.
pub fn digest(path: &Path) -> Result<String, Error> {
    let real = path
        .canonicalize()
        .map_err(|source| Error::from_io("read", path, 0, source))?;
    let mut log = Log::read(&sibling(&real, "-wal"))?;
    // Another process reads it: closing the file in this one would drop the locks that this one may hold on it.
    let failed = |source| Error::from_io("read", &real, 0, source);
    let mut child = Command::new("cat")
        .arg("--")
        .arg(&real)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let stdout = child.stdout.take().expect("BUG: the output is piped");
    let pages = over_pages(BufReader::with_capacity(1 << 20, stdout), log.as_mut()).map_err(failed);
    let ended = child.wait().map_err(failed)?;
    let hash = pages?;
    if !ended.success() {
        return Err(failed(std::io::Error::other("it could not be read whole")));
    }
    Ok(hash)
}

/// Every page in its order, the log's version where there is one.
fn over_pages(mut file: impl Read, mut log: Option<&mut Log>) -> std::io::Result<String> {
    let mut header = Vec::new();
    file.by_ref().take(100).read_to_end(&mut header)?;
    let in_file = match header.get(16..18) {
        Some([0, 1]) => Some(65_536),
        Some([high, low]) => Some(usize::from(u16::from_be_bytes([*high, *low]))),
        _ => None,
    };
    let in_log = log.as_ref().map(|log| log.page_bytes);
    let page_bytes = in_log.or(in_file).unwrap_or_default();
    if !page_bytes.is_power_of_two() || page_bytes < 512 {
        return Err(std::io::Error::other("it is no SQLite database"));
    }
    let mut file = header.as_slice().chain(file);
    let mut hash = Sha256::new();
    let mut page = vec![0; page_bytes];
    let last = log.as_ref().map(|log| log.pages);
    for number in 1.. {
        if last.is_some_and(|last| number > last) {
            // What lies behind the last page belongs to nobody; it is read all the same, so that the reader's end is an orderly one.
            std::io::copy(&mut file, &mut std::io::sink())?;
            break;
        }
        let is_in_file = fill(&mut file, &mut page)?;
        let is_in_log = match log.as_mut() {
            Some(log) => log.page(number, &mut page)?,
            None => false,
        };
        if !is_in_file && !is_in_log {
            break;
        }
        if number == 1 {
            NOT_CONTENT
                .into_iter()
                .for_each(|bytes| page[bytes].fill(0));
        }
        hash.update(&page);
    }
    Ok(hex(&hash.finalize()))
}

/// The last committed version of each page in a write-ahead log.
struct Log {
    file: File,
    page_bytes: usize,
    /// Pages of the database after the last commit.
    pages: u32,
    /// Where a page's content begins in the log.
    places: HashMap<u32, u64>,
}

impl Log {
    /// None where there is no log, or none of its frames is committed. No lock is ever on this file, so that reading it is safe.
    fn read(path: &Path) -> Result<Option<Self>, Error> {
        match File::open(path) {
            Ok(file) => Self::scan(file).map_err(|source| Error::from_io("read", path, 0, source)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::from_io("read", path, 0, source)),
        }
    }

    fn scan(file: File) -> std::io::Result<Option<Self>> {
        let mut reader = BufReader::new(&file);
        let mut header = [0; WAL_HEADER_BYTES as usize];
        if !fill(&mut reader, &mut header)? {
            return Ok(None);
        }
        let word = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().expect("BUG: four bytes"));
        let page_bytes = word(&header[8..12]);
        let (mut places, mut pages, mut pending) = (HashMap::new(), 0, Vec::new());
        let mut frame = [0; FRAME_HEADER_BYTES as usize];
        let mut at = WAL_HEADER_BYTES;
        // Frames of an earlier round carry other salts and end the walk.
        while fill(&mut reader, &mut frame)? && frame[8..16] == header[16..24] {
            pending.push((word(&frame[..4]), at + FRAME_HEADER_BYTES));
            let after_commit = word(&frame[4..8]);
            if after_commit != 0 {
                pages = after_commit;
                places.extend(pending.drain(..));
            }
            at += FRAME_HEADER_BYTES + u64::from(page_bytes);
            reader.seek_relative(i64::from(page_bytes))?;
        }
        drop(reader);
        Ok((pages > 0).then_some(Self {
            file,
            page_bytes: page_bytes as usize,
            pages,
            places,
        }))
    }

    /// Reads a page over what `page` holds; whether the log has it.
    fn page(&mut self, number: u32, page: &mut [u8]) -> std::io::Result<bool> {
        let Some(at) = self.places.get(&number) else {
            return Ok(false);
        };
        self.file.seek(SeekFrom::Start(*at))?;
        self.file.read_exact(page)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::digest;

    #[test]
    fn a_checkpoint_and_another_journal_mode_are_no_change_and_a_value_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB);
                 INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) SELECT i, randomblob(900) FROM n;",
            )
            .unwrap();
        let in_the_log = digest(&path).unwrap();
        let run = |sql: &str| connection.query_row(sql, [], |_| Ok(())).unwrap();
        run("PRAGMA wal_checkpoint(TRUNCATE)");
        assert_eq!(digest(&path).unwrap(), in_the_log);
        connection
            .execute("UPDATE t SET v = zeroblob(900) WHERE id = 30", [])
            .unwrap();
        let changed = digest(&path).unwrap();
        assert_ne!(changed, in_the_log);
        run("PRAGMA journal_mode = DELETE");
        assert_eq!(digest(&path).unwrap(), changed);
        connection
            .execute("DELETE FROM t WHERE id = 30", [])
            .unwrap();
        assert_ne!(digest(&path).unwrap(), changed);
        assert!(digest(&folder.path().join("none")).is_err());
    }

    #[test]
    fn a_backup_holds_what_its_source_held_until_somebody_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA user_version = 7; CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB);
                 CREATE INDEX i ON t (v); INSERT INTO t VALUES (1, randomblob(9000)), (2, randomblob(9000)); DELETE FROM t WHERE id = 1;",
            )
            .unwrap();
        let copy = folder.path().join("copy.db");
        let cancel = tokio_util::sync::CancellationToken::new();
        crate::sqlite::backup::take(&path, &copy, &mut |_| {}, &cancel).unwrap();
        assert_eq!(digest(&path).unwrap(), digest(&copy).unwrap());
        connection.execute("CREATE TABLE u (id)", []).unwrap();
        assert_ne!(digest(&path).unwrap(), digest(&copy).unwrap());
    }
}
