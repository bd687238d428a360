//! The queue of what everybody should hear (SWIM paper 4.1; spec cluster 1.9, 1.10).
//!
//! ```text
//!   tier 0   long ── short      one draw walks the tiers upwards and takes, from each, the largest
//!   tier 1   long ── short      that still fits, newest first among equals; what was taken goes one
//!   tier 2   …                  tier up, or out after the last of its transmissions
//! ```
//!
//! Generic in what is queued: SWIM has one such queue, Serf three. An item may have a name; a newer
//! item of the same name takes its place. Invariants: a name is there once; items come in the order
//! above, whatever the order in which they were put in.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::base::NodeName;

/// Fewest transmissions, then largest, then newest.
type Rank = (u32, Reverse<usize>, Reverse<u64>);

/// A queue of broadcasts.
#[derive(Debug)]
pub struct BroadcastQueue<T> {
    items: BTreeMap<Rank, (Option<NodeName>, T)>,
    by_name: BTreeMap<NodeName, Rank>,
    pushed: u64,
}

impl<T> Default for BroadcastQueue<T> {
    fn default() -> Self {
        Self { items: BTreeMap::new(), by_name: BTreeMap::new(), pushed: 0 }
    }
}

impl<T> BroadcastQueue<T> {
    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Puts an item of `len` bytes in; what it replaces comes out.
    pub fn push(&mut self, name: Option<NodeName>, len: usize, item: T) -> Option<T> {
        self.pushed += 1;
        let rank = (0, Reverse(len), Reverse(self.pushed));
        let older = name.as_ref().and_then(|name| self.by_name.insert(name.clone(), rank));
        self.items.insert(rank, (name, item));
        older.and_then(|older| self.items.remove(&older)).map(|(_, item)| item)
    }

    /// Gives up the item that would be sent last.
    pub fn pop_last(&mut self) -> Option<T> {
        let (_, (name, item)) = self.items.pop_last()?;
        name.and_then(|name| self.by_name.remove(&name));
        Some(item)
    }

    /// One transmission: as much as fits into `limit` bytes, each item costing `overhead` beside its
    /// own. `take` gets each, and whether that was its last time.
    pub fn draw(
        &mut self,
        overhead: usize,
        limit: usize,
        retransmit_limit: u32,
        mut take: impl FnMut(&T, bool),
    ) {
        let mut free = limit;
        let mut moved = Vec::new();
        let mut tier = 0;
        while let Some(room) = free.checked_sub(overhead + 1).map(|rest| rest + 1) {
            let from = (tier, Reverse(room), Reverse(u64::MAX));
            let Some((&rank, _)) = self.items.range(from..).next() else { break };
            if rank.0 > tier {
                tier = rank.0;
                continue;
            }
            let Some((name, item)) = self.items.remove(&rank) else { break };
            let sent = rank.0 + 1;
            take(&item, sent >= retransmit_limit);
            free -= overhead + rank.1.0;
            if sent >= retransmit_limit {
                name.and_then(|name| self.by_name.remove(&name));
            } else {
                // Not back yet: this draw would find it again in the next tier.
                moved.push(((sent, rank.1, rank.2), name, item));
            }
        }
        for (rank, name, item) in moved {
            if let Some(name) = &name {
                self.by_name.insert(name.clone(), rank);
            }
            self.items.insert(rank, (name, item));
        }
    }

    /// Checks what must always hold.
    ///
    /// # Panics
    /// When it does not.
    pub fn check(&self) {
        let named = self.items.values().filter(|(name, _)| name.is_some()).count();
        crate::invariant!(named == self.by_name.len(), "{named} named broadcasts, other names");
        for (name, rank) in &self.by_name {
            let same = self.items.get(rank).is_some_and(|item| item.0.as_ref() == Some(name));
            crate::invariant!(same, "the broadcast {name} is not in its place");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(queue: &mut BroadcastQueue<&'static str>, limit: usize, times: u32) -> Vec<String> {
        let mut taken = Vec::new();
        queue.draw(2, limit, times, |item, last| {
            taken.push(format!("{item}{}", if last { "!" } else { "" }));
        });
        queue.check();
        taken
    }

    #[test]
    fn fewest_transmissions_then_largest_then_newest() {
        let mut queue = BroadcastQueue::default();
        queue.push(Some("a".into()), 10, "a");
        queue.push(Some("b".into()), 30, "b");
        queue.push(Some("c".into()), 10, "c");
        // 32 for b leaves 11: nothing fits.
        assert_eq!(drawn(&mut queue, 43, 3), ["b"]);
        assert_eq!(drawn(&mut queue, 43, 3), ["c", "a"]);
        assert_eq!(drawn(&mut queue, 100, 3), ["b", "c", "a"]);
        assert_eq!(drawn(&mut queue, 12, 3), ["c!"]);
        assert_eq!(drawn(&mut queue, 100, 3), ["b!", "a!"]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_newer_item_takes_the_place_of_its_name() {
        let mut queue = BroadcastQueue::default();
        assert_eq!(queue.push(Some("a".into()), 10, "old"), None);
        assert_eq!(drawn(&mut queue, 100, 9), ["old"]);
        assert_eq!(queue.push(Some("a".into()), 10, "new"), Some("old"));
        assert_eq!(queue.push(None, 10, "other"), None);
        assert_eq!(queue.push(None, 10, "another"), None);
        assert_eq!(drawn(&mut queue, 100, 0), ["another!", "other!", "new!"]);
    }
}
