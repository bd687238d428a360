//! The agent's cache, `?cached` (spec api 1.6): what was answered before, for those who would rather have
//! an old answer than none.
//!
//! ```text
//!   ask any server ──answers──► kept, and given: HIT, age 0, when it was here before; else MISS
//!        └─────────fails──────► the kept one: HIT with its age, as far as the request lets it count
//! ```
//!
//! Consul renews what it keeps in the background, so that a hit is as good as a read of any server, and
//! says age 0 as long as that works. Here the read itself renews it: the same answers and headers, at
//! the price of the question.
//!
//! Bounded: [`ENTRIES`] answers; the one that was not asked for longest goes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::agent::ReadMeta;
use crate::base::{Duration, Instant};
use crate::http::options::CacheControl;
use crate::state::Answer;

/// So many answers are kept.
const ENTRIES: usize = 256;

/// Answers by their questions; a handle, cheap to copy.
#[derive(Clone, Default)]
pub(super) struct AnswerCache(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    entries: BTreeMap<String, Entry>,
    /// Counts uses.
    clock: u64,
}

struct Entry {
    answer: Answer,
    meta: ReadMeta,
    fetched: Instant,
    used: u64,
}

impl AnswerCache {
    /// Keeps an answer; whether there was one before.
    pub(super) fn keep(&self, key: String, answer: &Answer, meta: &ReadMeta, now: Instant) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let used = kept.clock;
        let entry = Entry { answer: answer.clone(), meta: *meta, fetched: now, used };
        let was_there = kept.entries.insert(key, entry).is_some();
        if kept.entries.len() > ENTRIES {
            let oldest = kept.entries.iter().min_by_key(|(_, entry)| entry.used);
            let oldest = oldest.map(|(key, _)| key.clone()).unwrap_or_default();
            kept.entries.remove(&oldest);
        }
        was_there
    }

    /// An answer that counts although none can be had, and its age.
    pub(super) fn old(
        &self,
        key: &str,
        control: CacheControl,
        now: Instant,
    ) -> Option<(Answer, ReadMeta, Duration)> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let used = kept.clock;
        let entry = kept.entries.get_mut(key)?;
        let age = now.since(entry.fetched);
        let counts = control.max_age.is_none_or(|limit| age <= limit);
        if control.must_revalidate || !(counts || age <= control.stale_if_error) {
            return None;
        }
        entry.used = used;
        Some((entry.answer.clone(), entry.meta, age))
    }
}
