//! The key/value state that the cluster's log makes, kept up from the trace alone: what each entry did
//! is told once by the first server that applies it ([`What::Wrote`]), and a digest is kept for every
//! index. So the content of a snapshot can be compared with what the log says it must be, at the
//! price of one number per entry.
//!
//! An operator's restore brings a state that no log tells; from then on nothing is known.
//!
//! [`What::Wrote`]: crate::trace::event::What::Wrote

use std::collections::BTreeMap;

use crate::trace::event::{REMOVED, REMOVED_TREE, key_digest};

/// See the module.
#[derive(Debug, Default)]
pub struct AppliedState {
    values: BTreeMap<String, u64>,
    digest: u64,
    /// After each index.
    digests: BTreeMap<u64, u64>,
    unknown: bool,
}

impl AppliedState {
    /// An entry is applied for the first time anywhere.
    pub fn applied(&mut self, index: u64) {
        self.digests.insert(index, self.digest);
    }

    /// And this is what it did.
    pub fn wrote(&mut self, index: u64, key: &str, value: u64, done: bool) {
        if !done || self.digests.last_key_value().is_none_or(|(last, _)| *last != index) {
            return;
        }
        match value {
            REMOVED => self.remove(key),
            REMOVED_TREE => {
                let below = self.values.range(key.to_owned()..).map(|(name, _)| name.clone());
                let doomed: Vec<String> = below.take_while(|name| name.starts_with(key)).collect();
                doomed.iter().for_each(|name| self.remove(name));
            }
            value => {
                self.remove(key);
                self.values.insert(key.to_owned(), value);
                self.digest = self.digest.wrapping_add(key_digest(key, value));
            }
        }
        self.digests.insert(index, self.digest);
    }

    fn remove(&mut self, key: &str) {
        if let Some(value) = self.values.remove(key) {
            self.digest = self.digest.wrapping_sub(key_digest(key, value));
        }
    }

    /// An operator's snapshot took the place of everything.
    pub fn replaced(&mut self) {
        self.unknown = true;
    }

    /// What the state must be after an index; none when nothing is known of it.
    #[must_use]
    pub fn after(&self, index: u64) -> Option<u64> {
        self.digests.get(&index).copied().filter(|_| !self.unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::event::state_digest;

    #[test]
    fn the_digest_is_that_of_the_keys_that_are_left() {
        let mut state = AppliedState::default();
        let writes = [(1, "a/1", 7), (2, "a/2", 8), (3, "b", 9), (4, "a/1", 10), (5, "b", REMOVED)];
        for (index, key, value) in writes {
            state.applied(index);
            state.wrote(index, key, value, true);
        }
        state.applied(6);
        state.wrote(6, "a/2", 11, false);
        assert_eq!(state.after(3), Some(state_digest([("a/1", 7), ("a/2", 8), ("b", 9)])));
        assert_eq!(state.after(6), Some(state_digest([("a/1", 10), ("a/2", 8)])));
        state.applied(7);
        state.wrote(7, "a/", REMOVED_TREE, true);
        assert_eq!(state.after(7), Some(0));
        assert_eq!(state.after(8), None);
        state.replaced();
        assert_eq!(state.after(7), None);
    }
}
