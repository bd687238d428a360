//! Which configurations were tried before.
//!
//! A set of word sequences: one arena for the words, an open-addressing table of places in it. The
//! hash only says where to look; what is found there is compared in full, because taking two
//! configurations for one would turn a collision into a wrong "not linearizable". Deterministic:
//! the hash has no random key, and nothing iterates over the table.

use xxhash_rust::xxh3::xxh3_64;

/// A set of sequences of words.
#[derive(Debug, Default)]
pub(super) struct Memo {
    words: Vec<u64>,
    /// Per slot: 1 + where the sequence's length stands in `words`; 0: empty. A power of two long.
    slots: Vec<u32>,
    count: usize,
    bytes: Vec<u8>,
}

impl Memo {
    /// Empty again, with its memory kept.
    pub(super) fn clear(&mut self) {
        self.words.clear();
        self.slots.fill(0);
        self.count = 0;
    }

    /// Adds; false when it was there.
    pub(super) fn insert(&mut self, key: &[u64]) -> bool {
        if self.slots.len() <= self.count * 2 {
            self.grow();
        }
        let slot = self.find(key);
        if self.slots[slot] != 0 {
            return false;
        }
        let place = u32::try_from(self.words.len() + 1).expect("step budgets end before 32 GB");
        self.slots[slot] = place;
        self.words.push(key.len() as u64);
        self.words.extend_from_slice(key);
        self.count += 1;
        true
    }

    /// The slot of this key, or the empty one where it belongs.
    fn find(&mut self, key: &[u64]) -> usize {
        self.bytes.clear();
        self.bytes.extend(key.iter().flat_map(|word| word.to_le_bytes()));
        let last = self.slots.len() - 1;
        let mut slot = xxh3_64(&self.bytes) as usize & last;
        while self.slots[slot] != 0 && self.at(self.slots[slot]) != key {
            slot = (slot + 1) & last;
        }
        slot
    }

    fn at(&self, place: u32) -> &[u64] {
        let start = place as usize;
        &self.words[start..start + self.words[start - 1] as usize]
    }

    fn grow(&mut self) {
        let places: Vec<u32> = self.slots.iter().copied().filter(|place| *place != 0).collect();
        self.slots = vec![0; (self.slots.len() * 2).max(64)];
        for place in places {
            let key = self.at(place).to_vec();
            let slot = self.find(&key);
            self.slots[slot] = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_it_was_given_and_nothing_else() {
        let mut memo = Memo::default();
        for number in 0..1000_u64 {
            assert!(memo.insert(&[number, number / 7]));
            assert!(memo.insert(&[number]));
        }
        for number in 0..1000_u64 {
            assert!(!memo.insert(&[number, number / 7]));
        }
        assert!(memo.insert(&[]));
        assert_eq!(memo.count, 2001);
        memo.clear();
        assert!(memo.insert(&[3]));
    }
}
