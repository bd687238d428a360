//! Tombstones: the index at which a key, or a whole prefix, was removed (spec cluster 10.5).
//!
//! A list's index is the highest `ModifyIndex` below its prefix. Removing the entry that has it must
//! not lower that index, and removing any entry must raise it: that is what a tombstone is for.
//!
//! ```text
//!   list("a/b")  sees   tombstones of keys      a/b…                  removed one by one
//!                       tombstones of prefixes  a/b…                  removed a subtree of it
//!                       tombstones of prefixes  "", "a", "a/", "a/b"  removed a tree it lies in
//! ```
//!
//! The last line goes beyond Consul, which looks only below the asked prefix. There, with an older
//! tombstone below `a/b`, removing the tree `a` leaves the index of `a/b` where it was although all
//! its keys are gone, and a blocking query sleeps through it (spec cluster 11.5, invariant 57).
//!
//! Tombstones do not stay for ever: the leader has all up to an index reaped when they are old enough
//! (spec cluster 6.10). The index of a list may fall then, as in Consul.

use std::ops::Bound;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::rows::Grave;

/// Where keys were removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Graveyard {
    keys: OrdMap<Arc<str>, u64>,
    prefixes: OrdMap<Arc<str>, u64>,
    /// All of them, the oldest first.
    by_index: OrdSet<(u64, Grave, Arc<str>)>,
}

impl Graveyard {
    /// A key was removed.
    pub(super) fn bury_key(&mut self, key: &str, index: u64) {
        self.bury(Grave::Key, key.into(), index);
    }

    /// All keys with this prefix were removed.
    pub(super) fn bury_prefix(&mut self, prefix: &str, index: u64) {
        self.bury(Grave::Tree, prefix.into(), index);
    }

    fn bury(&mut self, grave: Grave, name: Arc<str>, index: u64) {
        if let Some(old) = self.stones_mut(grave).insert(name.clone(), index) {
            self.by_index.remove(&(old, grave, name.clone()));
        }
        self.by_index.insert((index, grave, name));
    }

    /// All tombstones up to this index go.
    pub(super) fn reap(&mut self, up_to: u64) {
        while let Some((index, grave, name)) = self.by_index.get_min().cloned()
            && index <= up_to
        {
            self.stones_mut(grave).remove(&name);
            self.by_index.remove(&(index, grave, name));
        }
    }

    fn stones_mut(&mut self, grave: Grave) -> &mut OrdMap<Arc<str>, u64> {
        match grave {
            Grave::Key => &mut self.keys,
            Grave::Tree => &mut self.prefixes,
        }
    }

    /// The first removal that has a tombstone; none when there is no tombstone.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.by_index.get_min().map(|(index, _, _)| *index)
    }

    /// The tombstones of one kind, by name.
    pub(super) fn stones(&self, grave: Grave) -> &OrdMap<Arc<str>, u64> {
        match grave {
            Grave::Key => &self.keys,
            Grave::Tree => &self.prefixes,
        }
    }

    /// The latest removal of a key or a subtree with this prefix; 0 when there was none.
    pub(super) fn latest_below(&self, prefix: &str) -> u64 {
        latest_with_prefix(&self.keys, prefix).max(latest_with_prefix(&self.prefixes, prefix))
    }

    /// The latest removal of a tree that this prefix lies in; 0 when there was none.
    pub(super) fn latest_around(&self, prefix: &str) -> u64 {
        // Few trees are ever removed, so the prefixes between "" and the asked one are few.
        self.prefixes
            .range::<_, str>((Bound::Unbounded, Bound::Included(prefix)))
            .filter(|(gone, _)| prefix.starts_with(&***gone))
            .map(|(_, &index)| index)
            .max()
            .unwrap_or(0)
    }

    /// Everything that must hold of the tombstones.
    pub(super) fn check(&self) {
        let rows = |grave: Grave, stones: &OrdMap<Arc<str>, u64>| -> Vec<(u64, Grave, Arc<str>)> {
            stones.iter().map(|(name, index)| (*index, grave, name.clone())).collect()
        };
        let mut all = rows(Grave::Key, &self.keys);
        all.extend(rows(Grave::Tree, &self.prefixes));
        let all: OrdSet<_> = all.into_iter().collect();
        crate::invariant!(all == self.by_index, "tombstones {all:?}, noted {:?}", self.by_index);
    }

    /// The latest removal of all; 0 when there was none.
    pub(super) fn latest(&self) -> u64 {
        self.by_index.get_max().map_or(0, |(index, _, _)| *index)
    }
}

fn latest_with_prefix(stones: &OrdMap<Arc<str>, u64>, prefix: &str) -> u64 {
    stones
        .range::<_, str>((Bound::Included(prefix), Bound::Unbounded))
        .take_while(|(key, _)| key.starts_with(prefix))
        .map(|(_, &index)| index)
        .max()
        .unwrap_or(0)
}
