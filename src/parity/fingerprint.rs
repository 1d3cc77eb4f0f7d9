//! The fingerprint of one side of a table: per partition of the keys, how many rows there are and the sum of their hashes.
//!
//! Sums, not XOR: rows that occur twice must not cancel. The hash is keyed afresh in every run, so that no data can be made to
//! collide. Two sides whose rows arrive in any order, over any number of connections, have equal fingerprints exactly when they
//! hold the same multiset of rows.

use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// Into how many partitions a table's keys fall. A lone difference costs a second look at one part in so many, and what is held of
/// one has to fit into memory; but the sums of all of them are touched at random, and should fit into the processor's cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Partitions(usize);

impl Partitions {
    /// About one for each mebibyte of the table.
    pub(crate) fn of_table(size_bytes: u64) -> Self {
        let mebibytes = usize::try_from(size_bytes >> 20).unwrap_or(usize::MAX);
        Self(mebibytes.clamp(256, 1 << 16).next_power_of_two())
    }

    pub(crate) fn count(self) -> usize {
        self.0
    }
}

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

    /// The partition of a key. It only has to be the same on both sides, and spread keys evenly: a cheap hash will do.
    pub(crate) fn partition(self, key: &[u8], partitions: Partitions) -> usize {
        let state = key.chunks(8).fold(self.0, |state, chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            let product = u128::from(state ^ u64::from_le_bytes(word)) * u128::from(self.1 | 1);
            product as u64 ^ (product >> 64) as u64
        });
        state as usize & (partitions.0 - 1)
    }
}

/// What one partition of one side holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Part {
    sum: u128,
    pub(crate) rows: u64,
    /// Bytes of their canonical forms.
    pub(crate) size_bytes: u64,
}

/// One side of one table.
#[derive(Debug, Clone)]
pub(crate) struct Fingerprint {
    parts: Vec<Part>,
}

impl Fingerprint {
    /// Of no rows yet.
    pub(crate) fn empty(partitions: Partitions) -> Self {
        Self {
            parts: vec![Part::default(); partitions.0],
        }
    }

    /// Adds a row to a partition.
    pub(crate) fn add(&mut self, partition: usize, row_hash: u128, size_bytes: usize) {
        let part = &mut self.parts[partition];
        part.sum = part.sum.wrapping_add(row_hash);
        part.rows += 1;
        part.size_bytes += size_bytes as u64;
    }

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
        let partitions = Partitions::of_table(0);
        let mut out = Fingerprint::empty(partitions);
        for (k, v) in rows {
            out.add(
                key.partition(k.as_bytes(), partitions),
                key.hash(v.as_bytes()),
                v.len(),
            );
        }
        out
    }

    #[test]
    fn numbered_keys_spread_over_the_partitions() {
        let key = HashKey::random();
        let partitions = Partitions::of_table(4 << 30);
        assert_eq!(partitions.count(), 4096);
        let mut rows = vec![0_u32; partitions.count()];
        for number in 0..64 * 4096_u64 {
            rows[key.partition(&number.to_be_bytes(), partitions)] += 1;
        }
        let fullest = rows.iter().max();
        assert!(fullest < Some(&256), "64 on average, {fullest:?} in one");
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
