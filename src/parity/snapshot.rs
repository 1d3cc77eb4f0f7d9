//! Which rows are new since the switch: a row's `xmin` judged by the snapshot that was recorded at `F1`.
//!
//! A snapshot knows top-level transactions. Writes were stopped when it was taken, so there is no transaction in progress whose
//! savepoints could be mistaken for finished ones. A row that was deleted leaves nothing to judge: it counts as missing.

use std::str::FromStr;

/// `pg_current_snapshot()::text`: `xmin:xmax:xip,…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    xmax: u64,
    in_progress: Vec<u64>,
}

/// The text is not a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a PostgreSQL snapshot (`xmin:xmax:xip,…`)")]
pub struct NotASnapshot(String);

impl FromStr for Snapshot {
    type Err = NotASnapshot;

    fn from_str(text: &str) -> Result<Self, NotASnapshot> {
        let wrong = || NotASnapshot(crate::text::printable(text, 80));
        let parts: Vec<_> = text.split(':').collect();
        let [xmin, xmax, list] = parts.as_slice() else {
            return Err(wrong());
        };
        let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
        let (xmin, xmax) = (number(xmin)?, number(xmax)?);
        let in_progress = list
            .split(',')
            .filter(|xid| !xid.is_empty())
            .map(number)
            .collect::<Result<_, _>>()?;
        if xmin > xmax {
            return Err(wrong());
        }
        Ok(Self { xmax, in_progress })
    }
}

impl Snapshot {
    /// A boolean SQL expression: was the row of `alias` (with its dot, or empty) written by a transaction that the snapshot does
    /// not see? Ids in rows have 32 bits and wrap around; those below 3 are frozen, older than every snapshot.
    pub(crate) fn new_row_sql(&self, alias: &str) -> String {
        const IDS: u64 = 1 << 32;
        let xid = format!("{alias}xmin::text::bigint");
        let after = format!(
            "({xid} - {} + {IDS}) % {IDS} < {}",
            self.xmax % IDS,
            IDS / 2
        );
        let running: Vec<_> = self
            .in_progress
            .iter()
            .map(|xid| (xid % IDS).to_string())
            .collect();
        let among = if running.is_empty() {
            String::new()
        } else {
            format!(" OR {xid} IN ({})", running.join(", "))
        };
        format!("({xid} >= 3 AND ({after}{among}))")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SQLite counts as PostgreSQL does, without a server.
    fn is_new(snapshot: &str, xmin: u64) -> bool {
        let snapshot: Snapshot = snapshot.parse().expect("a snapshot");
        let sql = snapshot
            .new_row_sql("")
            .replace("xmin::text::bigint", &xmin.to_string());
        let connection = rusqlite::Connection::open_in_memory().expect("a database");
        connection
            .query_row(&format!("SELECT {sql}"), [], |row| row.get(0))
            .expect("an answer")
    }

    #[test]
    fn what_was_finished_then_is_not_new() {
        for (xmin, new) in [
            (2, false),
            (99, false),
            (100, false),
            (101, true),
            (102, false),
            (103, true),
            (104, false),
            (105, true),
            (4_000_000_000, false),
        ] {
            assert_eq!(is_new("100:105:101,103", xmin), new, "{xmin}");
        }
        for (xmin, new) in [(4_294_967_290, false), (3, false), (4, true), (5, true)] {
            assert_eq!(is_new("4294967300:4294967300:", xmin), new, "{xmin}");
        }
    }

    #[test]
    fn refuses_what_is_no_snapshot() {
        for text in ["", "1", "1:2", "a:b:c", "5:4:", "1:2:3:4", "1:2:x"] {
            assert!(text.parse::<Snapshot>().is_err(), "{text}");
        }
    }
}
