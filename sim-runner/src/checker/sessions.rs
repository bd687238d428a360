//! Sessions as their users know them: the certain facts of a history, for the oracles over locks and
//! sessions.
//!
//! ```text
//!   create ok        renew ok                    destroy, or the node in trouble
//!   ├──────┤         ├─────┤                     ├───
//!          └ exists from here at the latest … to the earliest legal end:
//!                    └──── TTL ────────────────┤  the earliest of these
//! ```
//!
//! A session may end before its TTL is over only where somebody destroyed it or its node was held for
//! gone (spec cluster 6.7, 6.9, 10.6). Users are the only ones who destroy sessions; what they asked
//! and had no answer to may have happened at any time after. A renewal counts only where one server
//! alone claimed to lead: what a deposed leader grants is in nobody's memory but its own.

use std::collections::BTreeMap;

use crate::history::operation::{Operation, Outcome};
use crate::history::request::{Behavior, Reply, Request};

use super::reigns::Reigns;

/// One session.
#[derive(Clone, Debug)]
pub struct Session<'a> {
    /// What created it.
    pub created: &'a Operation,
    /// ns; 0: none.
    pub ttl_ns: u64,
    /// ns.
    pub lock_delay_ns: u64,
    /// What becomes of its keys.
    pub behavior: Behavior,
    /// In the order of the calls.
    pub renewals: Vec<&'a Operation>,
    /// Whatever may have destroyed it.
    pub destroyed: Vec<&'a Operation>,
}

impl Session<'_> {
    /// Since when it surely exists.
    #[must_use]
    pub fn since(&self) -> i64 {
        returned(self.created)
    }

    /// The earliest moment at which it may end.
    #[must_use]
    pub fn legal_end(&self, reigns: &Reigns) -> i64 {
        let destroyed = self.destroyed.iter().map(|operation| operation.called_at).min();
        let node = reigns.trouble_of(&self.created.server, self.created.called_at);
        let expires = match self.ttl_ns {
            0 => i64::MAX,
            ttl => {
                let renewed = self.renewals.iter().filter(|renewal| counts(renewal, reigns));
                let last = renewed.map(|renewal| renewal.called_at).max();
                let from = last.unwrap_or(i64::MIN).max(self.created.called_at);
                from.saturating_add(reigns.at_least(ttl))
            }
        };
        destroyed.unwrap_or(i64::MAX).min(node).min(expires)
    }
}

/// Whether a renewal was surely heard by the leader.
fn counts(renewal: &Operation, reigns: &Reigns) -> bool {
    let granted = matches!(renewal.answered(), Some((_, Reply::Exists(true))));
    granted && reigns.sole(renewal.called_at, returned(renewal)).is_some()
}

/// When the answer came.
#[must_use]
pub fn returned(operation: &Operation) -> i64 {
    operation.returned_at.unwrap_or(i64::MAX)
}

/// All sessions that users created and know of.
#[must_use]
pub fn sessions(history: &[Operation]) -> BTreeMap<&str, Session<'_>> {
    let mut sessions = BTreeMap::new();
    for operation in history {
        if let Some((
            Request::CreateSession { ttl_ns, lock_delay_ns, behavior },
            Reply::Created(id),
        )) = operation.answered()
        {
            let session = Session {
                created: operation,
                ttl_ns: *ttl_ns,
                lock_delay_ns: *lock_delay_ns,
                behavior: *behavior,
                renewals: Vec::new(),
                destroyed: Vec::new(),
            };
            sessions.insert(id.as_str(), session);
        }
    }
    for operation in history.iter().filter(|operation| operation.outcome != Outcome::Fail) {
        let Some(session) = sessions.get_mut(operation.key.as_str()) else { continue };
        match operation.request() {
            Some(Request::RenewSession) => session.renewals.push(operation),
            Some(Request::DestroySession) => session.destroyed.push(operation),
            _ => {}
        }
    }
    sessions
}
