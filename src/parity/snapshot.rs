//! Which rows are new since the switch: a row's `xmin` judged by the snapshot that was recorded at `F1`.
//!
//! A snapshot knows top-level transactions. Writes were stopped when it was taken, so there is no transaction in progress whose
//! savepoints could be mistaken for finished ones.

use std::str::FromStr;

/// `pg_current_snapshot()::text`: `xmin:xmax:xip,…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    xmin: u64,
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
        let mut parts = text.split(':');
        let mut number = || parts.next()?.parse().ok();
        let (xmin, xmax) = (number().ok_or_else(wrong)?, number().ok_or_else(wrong)?);
        let list = parts.next().ok_or_else(wrong)?;
        let in_progress = list
            .split(',')
            .filter(|xid| !xid.is_empty())
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|_| wrong())?;
        if parts.next().is_some() || xmin > xmax {
            return Err(wrong());
        }
        Ok(Self {
            xmin,
            xmax,
            in_progress,
        })
    }
}

impl Snapshot {
    /// Whether a row with this `xmin` (32 bits, as the system column shows it) was there when the snapshot was taken.
    pub(crate) fn sees(&self, row_xmin: u32) -> bool {
        if row_xmin < 3 {
            // Bootstrap and frozen: older than every snapshot.
            return true;
        }
        // The full id is the one nearest to the snapshot; ids wrap around every 2^32.
        let distance = row_xmin.wrapping_sub(self.xmax as u32) as i32;
        let full = self.xmax.saturating_add_signed(i64::from(distance));
        full < self.xmin || (full < self.xmax && !self.in_progress.contains(&full))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_what_was_finished_then() {
        let snapshot: Snapshot = "100:105:101,103".parse().expect("a snapshot");
        for (xmin, seen) in [
            (2, true),
            (99, true),
            (100, true),
            (101, false),
            (102, true),
            (103, false),
            (104, true),
            (105, false),
            (4_000_000_000, true),
        ] {
            assert_eq!(snapshot.sees(xmin), seen, "{xmin}");
        }
        let wrapped: Snapshot = "4294967300:4294967300:".parse().expect("a snapshot");
        assert!(wrapped.sees(4_294_967_290) && wrapped.sees(3) && !wrapped.sees(4));
    }

    #[test]
    fn refuses_what_is_no_snapshot() {
        for text in ["", "1", "1:2", "a:b:c", "5:4:", "1:2:3:4", "1:2:x"] {
            assert!(text.parse::<Snapshot>().is_err(), "{text}");
        }
    }
}
