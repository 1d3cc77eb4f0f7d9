//! The fingerprint of one side of a table: per partition of the keys, how many rows there are and the sum of their hashes.
//!
//! Sums, not XOR: rows that occur twice must not cancel. The hash is keyed afresh in every run, so that no data can be made to
//! collide. Two sides whose rows arrive in any order, over any number of connections, have equal fingerprints exactly when they
//! hold the same multiset of rows.

use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// Into how many partitions a table's keys fall. A lone difference costs a second look at one part in so many.
pub(crate) const PARTITIONS: usize = 4096;

/// The key of one run's hashes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HashKey(u64, u64);

impl HashKey {
    /// A key that nobody can foresee.
    pub(crate) fn random() -> Self {
        Self(rand::random(), rand::random())
    }

    /// 128 bits over some bytes.
    pub(crate) fn hash(self, bytes: &[u8]) -> u128 {
        let mut hasher = SipHasher13::new_with_keys(self.0, self.1);
        hasher.write(bytes);
        hasher.finish128().as_u128()
    }
}

/// The partition of a key's hash.
pub(crate) fn partition(key_hash: u128) -> usize {
    (key_hash >> 64) as usize % PARTITIONS
}

/// What one partition of one side holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Part {
    sum: u128,
    /// Rows.
    pub(crate) rows: u64,
    /// Bytes of their canonical forms.
    pub(crate) size_bytes: u64,
}

/// One side of one table.
#[derive(Debug, Clone)]
pub(crate) struct Fingerprint {
    parts: Vec<Part>,
}

impl Default for Fingerprint {
    fn default() -> Self {
        Self {
            parts: vec![Part::default(); PARTITIONS],
        }
    }
}

impl Fingerprint {
    /// Adds a row.
    pub(crate) fn add(&mut self, key_hash: u128, row_hash: u128, size_bytes: usize) {
        let part = &mut self.parts[partition(key_hash)];
        part.sum = part.sum.wrapping_add(row_hash);
        part.rows += 1;
        part.size_bytes += size_bytes as u64;
    }

    /// All rows.
    pub(crate) fn rows(&self) -> u64 {
        self.parts.iter().map(|part| part.rows).sum()
    }

    /// The partitions in which the sides differ, with what a second look at each will have to hold in memory.
    pub(crate) fn differing(&self, other: &Self) -> Vec<(usize, u64)> {
        let pairs = self.parts.iter().zip(&other.parts).enumerate();
        pairs
            .filter(|(_, (a, b))| a != b)
            .map(|(at, (a, b))| (at, a.size_bytes + b.size_bytes))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(rows: &[(&str, &str)]) -> Fingerprint {
        let key = HashKey(1, 2);
        let mut out = Fingerprint::default();
        for (k, v) in rows {
            out.add(key.hash(k.as_bytes()), key.hash(v.as_bytes()), v.len());
        }
        out
    }

    #[test]
    fn order_does_not_matter_and_duplicates_do() {
        let same = fingerprint(&[("1", "a"), ("2", "b")])
            .differing(&fingerprint(&[("2", "b"), ("1", "a")]));
        assert!(same.is_empty());
        let twice = fingerprint(&[("1", "a"), ("1", "a")])
            .differing(&fingerprint(&[("1", "b"), ("1", "b")]));
        assert_eq!(twice.len(), 1, "a pair of equal rows must not cancel");
        assert_eq!(
            fingerprint(&[])
                .differing(&fingerprint(&[("1", "a")]))
                .len(),
            1
        );
    }
}
