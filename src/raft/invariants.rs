//! What must hold on one server at any time. Broken means: stop, before wrong data is acknowledged.
//!
//! The cheap ones are asserted after every step, those that look along the log or the followers at
//! role changes and every 256 steps, and then only over the newest entries; all of them over the
//! whole log by [`Raft::check_invariants`], which tests call after every step.
//!
//! What takes two servers to see (election safety, log matching, leader completeness, state machine
//! safety) is judged from the event stream.

use crate::base::{LogIndex, Term};
use crate::invariant;
use crate::planted;
use crate::raft::core::{Raft, State};
use crate::raft::event::Role;
use crate::raft::progress::Mode;

/// Steps between two deep checks.
const DEEP_CHECK_STEPS: u64 = 256;
/// How many of the newest entries a deep check inside `step` looks at.
const DEEP_CHECK_ENTRIES: u64 = 256;

impl Raft {
    /// Checks everything this server can know of itself. Linear in the length of the log.
    ///
    /// # Panics
    /// When an invariant is broken.
    pub fn check_invariants(&self) {
        self.check_shallow();
        self.check_deep(LogIndex(1));
    }

    /// What `step` asserts when it is done.
    pub(super) fn assert_after_step(&mut self, before: (Role, Term, LogIndex)) {
        let (role, term, commit) = before;
        invariant!(self.term() >= term, "the term went from {term} back to {}", self.term());
        invariant!(
            self.commit_index >= commit
                || [
                    planted!(self.faults, "commit-goes-back"),
                    planted!(self.faults, "install-older-snapshot"),
                ]
                .contains(&true),
            "the commit index went from {commit} back to {}",
            self.commit_index
        );
        self.check_shallow();
        self.steps += 1;
        if self.role() != role || self.steps.is_multiple_of(DEEP_CHECK_STEPS) {
            let last = self.log.last_index().0;
            self.check_deep(LogIndex(last.saturating_sub(DEEP_CHECK_ENTRIES) + 1));
        }
    }

    /// Whether a bug is planted whose consequences lie with the oracles that watch the cluster:
    /// they must see it happen, so the assertions that would stop it first are off.
    pub(super) fn is_corrupted(&self) -> bool {
        [
            planted!(self.faults, "vote-not-persisted"),
            planted!(self.faults, "double-vote"),
            planted!(self.faults, "commit-older-term"),
            planted!(self.faults, "append-skips-log-check"),
            planted!(self.faults, "election-ignores-log"),
            planted!(self.faults, "ack-before-durable"),
            planted!(self.faults, "commit-goes-back"),
            planted!(self.faults, "apply-before-commit"),
            planted!(self.faults, "snapshot-ahead-of-state"),
            planted!(self.faults, "install-keeps-conflicting-tail"),
            planted!(self.faults, "install-older-snapshot"),
            planted!(self.faults, "match-is-log-end"),
            planted!(self.faults, "change-without-own-commit"),
            planted!(self.faults, "abstainer-votes"),
            planted!(self.faults, "lone-leader-acks-unsynced"),
        ]
        .contains(&true)
    }

    fn check_shallow(&self) {
        let last = self.log.last_index();
        invariant!(self.log.durable_index() <= last, "durable beyond the end of the log");
        invariant!(
            self.log.last_term() <= self.term(),
            "an entry of term {} in term {}",
            self.log.last_term(),
            self.term()
        );
        if let Some(vote) = &self.hard_state.vote {
            invariant!(vote.term <= self.term(), "a vote of term {} in {}", vote.term, self.term());
        }
        invariant!(
            self.commit_index <= last || self.is_corrupted() || self.lost_committed,
            "committed up to {}, but the log ends at {last}",
            self.commit_index
        );
        let snapshot = self.snapshots.newest();
        invariant!(
            self.log.start() <= snapshot.0
                && (snapshot.0 <= self.commit_index || self.is_corrupted()),
            "the log begins after {}, the snapshot ends at {}, {} is committed",
            self.log.start(),
            snapshot.0,
            self.commit_index
        );
        invariant!(
            self.emitted == self.commit_index || self.is_corrupted(),
            "committed up to {}, handed out up to {}",
            self.commit_index,
            self.emitted
        );
        self.check_role();
    }

    fn check_role(&self) {
        let me = &self.config.address;
        match &self.state {
            State::Follower => {
                invariant!(self.leader.as_ref() != Some(me), "a follower follows itself");
            }
            State::Candidate(_) => {
                invariant!(self.leader.is_none(), "a candidate knows a leader");
            }
            State::Leader(leadership) => {
                invariant!(self.leader.as_ref() == Some(me), "a leader follows another");
                invariant!(
                    self.log.last_term() == self.term()
                        && leadership.first_own <= self.log.last_index(),
                    "a leader without an entry of its own"
                );
            }
        }
    }

    /// Looks along the log from `from`, and at every follower.
    fn check_deep(&self, from: LogIndex) {
        let (index, term) = self.snapshots.newest();
        invariant!(
            self.log.term_at(index) == Some(term) || self.is_corrupted(),
            "the log has {:?} where the snapshot ends at {index}@{term}",
            self.log.term_at(index)
        );
        let from = from.max(self.log.start().next());
        let mut before = self.log.term_at(LogIndex(from.0 - 1)).unwrap_or_default();
        for (offset, entry) in self.log.slice(from, self.log.last_index()).iter().enumerate() {
            invariant!(entry.index.0 == from.0 + offset as u64, "a gap before {}", entry.index);
            invariant!(
                before <= entry.term || self.is_corrupted(),
                "the term falls from {before} to {} at {}",
                entry.term,
                entry.index
            );
            before = entry.term;
        }
        let State::Leader(leadership) = &self.state else { return };
        invariant!(
            !self.membership.is_safe() || self.followers_match(),
            "the followers are not those of the configuration"
        );
        let last = self.log.last_index();
        for peer in &leadership.peers {
            invariant!(
                LogIndex(1) <= peer.next && peer.next <= last.next() && peer.matched <= last,
                "next {} and matched {} of {}, but the log ends at {last}",
                peer.next,
                peer.matched,
                peer.address
            );
            invariant!(
                peer.mode == Mode::Pipeline || peer.inflight.len() <= 1,
                "{} probes under way to {}",
                peer.inflight.len(),
                peer.address
            );
            invariant!(
                peer.inflight.len() <= self.config.max_inflight,
                "too many appends under way to {}",
                peer.address
            );
        }
        if let Some((oldest, newest)) = leadership.open_proposals() {
            invariant!(
                (self.emitted < oldest || self.is_corrupted() || self.lost_committed)
                    && newest <= last,
                "proposals {oldest} to {newest} are open, {} is committed",
                self.emitted
            );
        }
    }
}
