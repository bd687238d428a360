//! What was answered before, `use_cache`: for when nobody can be asked any more.
//!
//! Consul renews what it keeps in the background and answers from it; here each question renews it, so that
//! an answer is as fresh as the servers have it, and only the answer that could not be had is an old one.
//!
//! Bounded: [`ENTRIES`] answers; the one that was not used for longest goes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::base::{Duration, Instant};
use crate::state::{Query, Rows};

/// So many answers are kept.
const ENTRIES: usize = 256;

/// Answers by their questions.
#[derive(Default)]
pub(super) struct Cache(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    entries: BTreeMap<String, Entry>,
    /// Counts uses.
    clock: u64,
}

struct Entry {
    rows: Rows,
    fetched: Instant,
    used: u64,
}

impl Cache {
    /// Keeps an answer.
    pub fn keep(&self, query: &Query, rows: &Rows, now: Instant) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let entry = Entry { rows: rows.clone(), fetched: now, used: kept.clock };
        kept.entries.insert(format!("{query:?}"), entry);
        if kept.entries.len() > ENTRIES {
            let oldest = kept.entries.iter().min_by_key(|(_, entry)| entry.used);
            let oldest = oldest.map(|(key, _)| key.clone()).unwrap_or_default();
            kept.entries.remove(&oldest);
        }
    }

    /// What was kept, unless that is longer ago.
    pub fn old(&self, query: &Query, max_age: Option<Duration>, now: Instant) -> Option<Rows> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let used = kept.clock;
        let entry = kept.entries.get_mut(&format!("{query:?}"))?;
        if max_age.is_some_and(|limit| now.since(entry.fetched) > limit) {
            return None;
        }
        entry.used = used;
        Some(entry.rows.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_was_used_last() {
        let cache = Cache::default();
        let query = |number: usize| Query::KvGet { key: number.to_string() };
        let rows = Rows::Keys(Vec::new());
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        for number in 0..=ENTRIES {
            cache.keep(&query(number), &rows, at(1));
            assert!(cache.old(&query(0), None, at(2)).is_some(), "{number}");
        }
        assert!(cache.old(&query(1), None, at(2)).is_none());
        assert!(cache.old(&query(2), Some(Duration::from_secs(1)), at(2)).is_some());
        assert!(cache.old(&query(2), Some(Duration::from_secs(1)), at(3)).is_none());
    }
}
