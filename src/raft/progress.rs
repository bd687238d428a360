//! What the leader knows of one follower, and what it has under way to it.
//!
//! ```text
//!            first success
//!   Probe ──────────────────► Pipeline      Probe: one request at a time, looking for the place
//!     ▲                           │                where the logs agree
//!     └───────────────────────────┘         Pipeline: up to `max_inflight` requests, `next` runs
//!       rejected, or no answer                     ahead of the answers
//!
//!   Probe, Pipeline ── the entry before `next` is compacted ──► Snapshot      one InstallSnapshot,
//!   Pipeline ◄── installed ── Snapshot ── no answer, or refused ──► Probe     and no append
//! ```
//!
//! A success acknowledges a prefix of the leader's own log, which only grows while it leads. It may
//! therefore be believed however late it comes, also after the request was given up.

use std::collections::VecDeque;

use crate::base::{CallId, Duration, Instant, LogIndex, ServerAddress};
use crate::raft::config::RaftConfig;

/// First wait after a failure (spec cluster 4.2).
const BACKOFF_BASE: Duration = Duration::from_millis(10);
/// Failures that lengthen the wait; the longest is 2^10 times the base.
const BACKOFF_ROUNDS: u32 = 12;

/// The wait after this many failures in a row: the base for the first two, then doubled each time.
pub(super) fn backoff(failures: u32) -> Duration {
    BACKOFF_BASE * (1 << failures.min(BACKOFF_ROUNDS).saturating_sub(2))
}

/// How entries are sent to a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Probe,
    Pipeline,
    Snapshot,
}

/// A follower, as its leader sees it.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) address: ServerAddress,
    pub(super) voter: bool,
    /// The next entry to send.
    pub(super) next: LogIndex,
    /// It has acknowledged everything up to here, durably.
    pub(super) matched: LogIndex,
    pub(super) mode: Mode,
    /// Requests that wait for an answer and whose rejection would be news.
    pub(super) inflight: VecDeque<CallId>,
    /// Replication attempts failed in a row.
    failures: u32,
    /// Nothing is sent before.
    retry_at: Instant,
    /// When an append goes out even without entries, to carry the commit index.
    pub(super) commit_at: Instant,
    /// Whether `commit_at` is near because the commit index has moved.
    commit_moved: bool,
    /// When it last answered anything.
    pub(super) last_contact: Instant,
    /// When the next heartbeat is due, if none is outstanding.
    heartbeat_at: Instant,
    heartbeats_outstanding: u32,
    heartbeat_failures: u32,
}

impl Progress {
    pub(super) fn new(
        address: ServerAddress,
        voter: bool,
        next: LogIndex,
        now: Instant,
        heartbeat_at: Instant,
        config: &RaftConfig,
    ) -> Self {
        Self {
            address,
            voter,
            next,
            matched: LogIndex(0),
            mode: Mode::Probe,
            inflight: VecDeque::new(),
            failures: 0,
            retry_at: now,
            commit_at: now + config.heartbeat_timeout,
            commit_moved: false,
            last_contact: now,
            heartbeat_at,
            heartbeats_outstanding: 0,
            heartbeat_failures: 0,
        }
    }

    /// Whether a request may be sent now.
    pub(super) fn is_ready(&self, now: Instant, max_inflight: usize) -> bool {
        match self.mode {
            Mode::Probe => self.inflight.is_empty() && self.retry_at <= now,
            Mode::Pipeline => self.inflight.len() < max_inflight,
            Mode::Snapshot => false,
        }
    }

    /// Whether there is something to send.
    pub(super) fn has_work(&self, now: Instant, last_index: LogIndex) -> bool {
        self.next <= last_index || self.commit_at <= now
    }

    /// When replication wants to be looked at again without any input; none when only an answer
    /// can move it.
    pub(super) fn replication_deadline(
        &self,
        last_index: LogIndex,
        max_inflight: usize,
    ) -> Option<Instant> {
        match self.mode {
            Mode::Probe if !self.inflight.is_empty() => None,
            Mode::Probe if self.next <= last_index => Some(self.retry_at),
            Mode::Probe => Some(self.retry_at.max(self.commit_at)),
            // A full window waits for answers; with room in it, entries left at once.
            Mode::Pipeline if self.next <= last_index || self.inflight.len() >= max_inflight => {
                None
            }
            Mode::Pipeline => Some(self.commit_at),
            Mode::Snapshot => None,
        }
    }

    /// Only a snapshot can bring this follower on, and none is sent yet. Returns true when this ends
    /// a pipeline.
    pub(super) fn needs_snapshot(&mut self) -> bool {
        let aborted = self.fall_back();
        self.mode = Mode::Snapshot;
        aborted
    }

    /// And now it is.
    pub(super) fn snapshot_sent(&mut self, call: CallId) {
        self.inflight.push_back(call);
    }

    /// The snapshot that it waited for can be sent.
    pub(super) fn snapshot_is_ready(&mut self) {
        if self.mode == Mode::Snapshot && self.inflight.is_empty() {
            self.mode = Mode::Probe;
        }
    }

    /// A request left, with entries up to `last`.
    pub(super) fn sent(&mut self, call: CallId, last: LogIndex, refresh_at: Instant) {
        self.inflight.push_back(call);
        if self.mode == Mode::Pipeline {
            self.next = last.next();
        }
        self.commit_at = refresh_at;
        self.commit_moved = false;
    }

    /// The commit index moved; tell this follower by `at` if nothing else does before.
    pub(super) fn tell_commit(&mut self, at: Instant) {
        if !self.commit_moved {
            self.commit_moved = true;
            self.commit_at = at;
        }
    }

    /// Whether a commit index is waiting to be told.
    pub(super) fn commit_is_due(&self) -> bool {
        self.commit_moved
    }

    /// Takes an answered request off the window; false when it was given up before.
    pub(super) fn answered(&mut self, call: CallId) -> bool {
        match self.inflight.iter().position(|&waiting| waiting == call) {
            Some(at) => self.inflight.remove(at).is_some(),
            None => false,
        }
    }

    /// Everything up to `last` is in its log, or in its snapshot. Returns true when this starts the
    /// pipeline.
    pub(super) fn succeeded(&mut self, last: LogIndex, current: bool) -> bool {
        self.matched = self.matched.max(last);
        if !current {
            return false;
        }
        self.failures = 0;
        let starts = self.mode != Mode::Pipeline;
        if starts {
            self.mode = Mode::Pipeline;
            self.next = self.matched.next();
        }
        starts
    }

    /// Its log does not match. Returns true when this ends a pipeline.
    pub(super) fn rejected(
        &mut self,
        follower_last: LogIndex,
        no_backoff: bool,
        now: Instant,
    ) -> bool {
        let aborted = self.fall_back();
        if !aborted {
            let hint = follower_last.0.saturating_add(1);
            self.next = LogIndex((self.next.0 - 1).min(hint).max(1));
        }
        self.failures = if no_backoff { 0 } else { self.failures + 1 };
        self.retry_at = if no_backoff { now } else { now + backoff(self.failures) };
        aborted
    }

    /// A request has no answer. Returns true when this ends a pipeline.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        let aborted = self.fall_back();
        self.failures = self.failures.saturating_add(1);
        self.retry_at = now + backoff(self.failures);
        // What was lost may have been the commit index alone.
        self.commit_at = self.retry_at;
        aborted
    }

    fn fall_back(&mut self) -> bool {
        let aborted = self.mode == Mode::Pipeline;
        if aborted {
            self.next = self.matched.next();
        }
        self.mode = Mode::Probe;
        self.inflight.clear();
        aborted
    }

    /// When the next regular heartbeat leaves; none while one is outstanding.
    pub(super) fn heartbeat_deadline(&self) -> Option<Instant> {
        (self.heartbeats_outstanding == 0).then_some(self.heartbeat_at)
    }

    pub(super) fn heartbeat_sent(&mut self) {
        self.heartbeats_outstanding += 1;
    }

    /// A heartbeat ended; the next is `interval` away, and longer after failures.
    pub(super) fn heartbeat_ended(
        &mut self,
        answered: bool,
        now: Instant,
        interval: Duration,
        backoff_max: Duration,
    ) {
        self.heartbeats_outstanding = self.heartbeats_outstanding.saturating_sub(1);
        let mut wait = interval;
        if answered {
            self.heartbeat_failures = 0;
        } else {
            self.heartbeat_failures = self.heartbeat_failures.saturating_add(1);
            wait += backoff(self.heartbeat_failures).min(backoff_max);
        }
        self.heartbeat_at = now + wait;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_from_the_third_failure_and_is_capped() {
        let waits: Vec<u128> = [0, 1, 2, 3, 4, 12, 13, u32::MAX]
            .into_iter()
            .map(|failures| backoff(failures).as_millis())
            .collect();
        assert_eq!(waits, [10, 10, 10, 20, 40, 10_240, 10_240, 10_240]);
    }
}
