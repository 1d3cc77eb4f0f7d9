//! One bit for each page of a file: what a walk remembers, so that memory is an eighth of a byte a page.

/// A set of page numbers.
#[derive(Debug, Clone)]
pub(super) struct Bitmap {
    words: Vec<u64>,
}

impl Bitmap {
    /// An empty set of pages up to this one.
    pub fn new(last: u32) -> Self {
        Self {
            words: vec![0; last as usize / 64 + 1],
        }
    }

    pub fn has(&self, page: u32) -> bool {
        let word = self.words.get(page as usize / 64);
        word.is_some_and(|word| word & bit(page) != 0)
    }

    /// Whether it was not there before; a page that the set has no place for is never put.
    pub fn put(&mut self, page: u32) -> bool {
        let Some(word) = self.words.get_mut(page as usize / 64) else {
            return false;
        };
        let is_new = *word & bit(page) == 0;
        *word |= bit(page);
        is_new
    }

    /// Whether it was there.
    pub fn take(&mut self, page: u32) -> bool {
        let Some(word) = self.words.get_mut(page as usize / 64) else {
            return false;
        };
        let was_there = *word & bit(page) != 0;
        *word &= !bit(page);
        was_there
    }

    pub fn count(&self) -> u64 {
        self.words
            .iter()
            .map(|word| u64::from(word.count_ones()))
            .sum()
    }

    /// What is in this set and not in the other.
    pub fn without(&self, other: &Self) -> Self {
        let words = self.words.iter().enumerate();
        let of_other = |n: usize| other.words.get(n).copied().unwrap_or_default();
        Self {
            words: words.map(|(n, word)| word & !of_other(n)).collect(),
        }
    }
}

fn bit(page: u32) -> u64 {
    1 << (page % 64)
}

#[cfg(test)]
mod tests {
    use super::Bitmap;

    #[test]
    fn a_page_is_put_once_and_taken_once_and_none_behind_the_last_is() {
        let mut set = Bitmap::new(64);
        assert!(set.put(64) && !set.put(64) && set.has(64) && !set.has(63));
        assert!(set.take(64) && !set.take(64) && !set.has(64));
        assert!(!set.put(4_000_000_000) && !set.has(4_000_000_000) && !set.take(4_000_000_000));
    }

    #[test]
    fn a_difference_has_what_the_other_set_has_not() {
        let of = |pages: &[u32], last| {
            let mut set = Bitmap::new(last);
            assert!(pages.iter().all(|page| set.put(*page)));
            set
        };
        let left = of(&[1, 70, 130, 199], 200).without(&of(&[1, 2, 70], 100));
        assert!(left.has(130) && left.has(199) && left.count() == 2);
    }
}
