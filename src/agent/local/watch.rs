//! Those who wait until a service changes: by the hash of what they have seen (spec api 2.2).

use std::collections::{BTreeMap, BTreeSet};

use crate::base::{Instant, RequestId};
use crate::state::NodeService;

/// One who waits.
#[derive(Debug)]
struct Watcher {
    service: String,
    hash: String,
    until: Instant,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    waiting: BTreeMap<RequestId, Watcher>,
    due: BTreeSet<(Instant, RequestId)>,
}

impl Watchers {
    pub fn add(&mut self, id: RequestId, service: String, hash: String, until: Instant) {
        self.due.insert((until, id));
        self.waiting.insert(id, Watcher { service, hash, until });
    }

    /// Lets one go, and says for which service.
    pub fn remove(&mut self, id: RequestId) -> Option<String> {
        let watcher = self.waiting.remove(&id)?;
        self.due.remove(&(watcher.until, id));
        Some(watcher.service)
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Who has waited enough, or whose service is another one now: `hash_of` tells the hash, and is
    /// asked only if there may be news.
    pub fn ready(
        &self,
        now: Instant,
        news: bool,
        hash_of: impl Fn(&str) -> Option<String>,
    ) -> Vec<RequestId> {
        let late = self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id);
        let changed = self
            .waiting
            .iter()
            .filter(|(_, it)| news && hash_of(&it.service).as_deref() != Some(it.hash.as_str()));
        let ready: BTreeSet<RequestId> = late.chain(changed.map(|(id, _)| *id)).collect();
        ready.into_iter().collect()
    }

    /// All of them.
    pub fn ids(&self) -> Vec<RequestId> {
        self.waiting.keys().copied().collect()
    }

    pub fn check_invariants(&self) {
        let due: BTreeSet<_> = self.waiting.iter().map(|(id, it)| (it.until, *id)).collect();
        crate::invariant!(due == self.due, "wait {due:?}, are due {:?}", self.due);
    }
}

/// What tells two forms of a service apart: 16 hexadecimal digits, opaque (FNV-1a, 64 bits).
pub(super) fn content_hash(service: &NodeService) -> String {
    let text = format!("{service:?}");
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}
