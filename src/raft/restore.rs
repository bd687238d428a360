//! An operator's snapshot takes the place of everything (spec cluster 4.11, "user restore").
//!
//! ```text
//!   log before   …  7  8  9                        9 was the last
//!   step         install 10@T, drop the log, append 11@T noop        one batch
//!   durable      Installed; InstallSnapshot 10 to everybody          the hole: nobody has 10 as an entry
//!   quorum       11 is committed: the operator is answered
//! ```
//!
//! The index is one above everything this leader has, so no log agrees with it, and every follower must
//! take the state as a snapshot. The batch holds the Noop too: there is no moment at which the log
//! is new and the leader has no entry of its own in it.
//!
//! **What waits.** Proposals that are under way end in doubt: a follower may have committed
//! them. Reads wait for the Noop, also those whose round is out. If that round were to count, a read
//! could be confirmed by answers that say nothing of the new state and be served from it, before any
//! other server has it; a crash of this leader would take it back. Nor may a read be confirmed
//! with an index of the old state and be served in between: the index of the new state is higher, so it
//! would find whichever is there. `first_own` therefore moves to the new Noop: nothing is
//! confirmed below it.
//!
//! The snapshot leaves for the followers only when it is durable here: one that has it while its leader
//! has lost it would be the only one to know of the restore.
//!
//! **Hazard, by design** (hashicorp/raft has it too): the state is in force here, and on each follower
//! that has installed it, before a quorum has it. If the leader fails before that, the others may elect
//! one without it and go on from the old state. A server that has the restored state then takes
//! index 10 for committed, refuses the other entry 10 (`Event::Contradicted`), and stays behind until it is
//! sent a later snapshot or is wiped. An operator restores a cluster that is at rest, and the
//! agent asks a quorum whether this server still leads just before.

use bytes::Bytes;

use crate::base::{Instant, LogIndex, RequestId};
use crate::raft::core::{Raft, State};
use crate::raft::durability::Promise;
use crate::raft::event::Event;
use crate::raft::snapshot::MAX_INDEX;
use crate::raft::types::{
    Entry, EntryKind, Install, Output, Refusal, SnapshotMeta, SnapshotSource,
};

impl Raft {
    /// An operator gives a new state.
    pub(super) fn restore(
        &mut self,
        now: Instant,
        id: RequestId,
        taken_at: LogIndex,
        out: &mut Vec<Output>,
    ) {
        if let Some(refusal) = self.refusal_of_new_work() {
            out.push(Output::Refused { id, refusal });
            return;
        }
        if taken_at > MAX_INDEX {
            let refusal = Refusal::BadConfiguration("no log reaches the index of this snapshot");
            out.push(Output::Refused { id, refusal });
            return;
        }
        if !self.may_replace_log() {
            let refusal = Refusal::BadConfiguration(
                "cannot restore snapshot now, wait until the configuration entry has been applied",
            );
            out.push(Output::Refused { id, refusal });
            return;
        }
        let index = self.log.last_index().max(self.snapshots.newest().0).max(taken_at).next();
        let State::Leader(leadership) = &mut self.state else {
            out.push(Output::Refused { id, refusal: Refusal::NotLeader });
            return;
        };
        leadership.log_is_replaced(index.next(), id, out);
        let (configuration, configuration_index) = self.membership.for_snapshot();
        let term = self.hard_state.term;
        let meta = SnapshotMeta { index, term, configuration, configuration_index, size: 0 };
        let source = SnapshotSource::Operator(id);
        self.durability.install(Install { meta: meta.clone(), source, keeps_log: false });
        self.go_on_from(&meta, false, out);
        out.push(Output::Event(Event::SnapshotRestored(index)));
        let noop = Entry { index: index.next(), term, kind: EntryKind::Noop, data: Bytes::new() };
        self.append_to_log(vec![noop], out);
        // A change of the set that was under way may have gone with the log.
        self.follow_configuration(now, LogIndex(0), false, out);
        let held = self.durability.hold(self.durability.current(), Promise::Restored { id, index });
        crate::invariant!(held.is_none(), "the snapshot is durable before it is written");
    }

    /// Whether the set in force is one that is known to be committed. The new beginning of everything
    /// carries the committed set. A leader that has not committed an entry of its term may know an older
    /// one, or after a start none, than is committed: its cluster would go on with that.
    fn may_replace_log(&self) -> bool {
        let State::Leader(leadership) = &self.state else { return true };
        let own_term_committed = self.commit_index >= leadership.first_own;
        own_term_committed && self.membership.may_change(own_term_committed)
    }

    /// It is on disk: the state machine may follow, and the others get it.
    pub(super) fn restored(
        &mut self,
        now: Instant,
        id: RequestId,
        index: LogIndex,
        out: &mut Vec<Output>,
    ) {
        // A newer leader's snapshot overtook it: the state machine must not go back.
        let Some(meta) = self.snapshots.newest_if(index) else { return };
        out.push(Output::Installed { meta, source: SnapshotSource::Operator(id) });
        if let State::Leader(leadership) = &mut self.state {
            leadership.peers.iter_mut().for_each(|peer| peer.snapshot_is_ready());
        }
        self.replicate_to_all(now, out);
    }
}
