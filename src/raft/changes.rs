//! Changing the set of servers, and following it (spec cluster 4.8, 4.15; Raft thesis 4.1, 4.2).
//!
//! ```text
//!   ChangeConfiguration ──► queue ──may_change──► plan ──► entry appended ──► set in force
//!        │ no leader, bad set: Refused                          │
//!        └ leadership ends: Refused                             ├─► new servers: replicate to them
//!                                                               └─► others: a last append, then none
//! ```
//!
//! A change waits until the one before is committed *and* this leader has committed an entry of its own
//! term ("bug in single-server membership changes", raft-dev 2015; see `membership::modern` for what
//! breaks otherwise).
//!
//! The leader's list of followers has the order of the set at the election, with later ones at the end.
//! Calls refer to followers by position. So when one leaves the list, the calls to it are forgotten and
//! those to the ones behind it are renumbered, in the same step ([`Raft::forget_follower`]): no answer
//! is ever taken for another server's.

use crate::base::{Instant, LogIndex, RequestId, ServerAddress};
use crate::invariant;
use crate::planted;
use crate::raft::core::{Raft, State, Waiting};
use crate::raft::event::{Event, StepDown};
use crate::raft::progress::{Mode, Progress};
use crate::raft::types::{Change, Entry, Lane, Output, Refusal, Request, Suffrage};

impl Raft {
    /// Somebody wants another set of servers.
    pub(super) fn change_configuration(
        &mut self,
        now: Instant,
        id: RequestId,
        change: Change,
        out: &mut Vec<Output>,
    ) {
        match (self.refusal_of_new_work(), &mut self.state) {
            (None, State::Leader(leadership)) => {
                leadership.changes.push_back((id, change));
                self.start_changes(now, out);
            }
            (refusal, _) => {
                let refusal = refusal.unwrap_or(Refusal::NotLeader);
                out.push(Output::Refused { id, refusal });
            }
        }
    }

    /// Why nothing new is appended now; none on a leader that is neither leaving nor handing over.
    pub(super) fn refusal_of_new_work(&self) -> Option<Refusal> {
        match &self.state {
            State::Leader(leadership) if leadership.transfer.is_some() => {
                Some(Refusal::TransferInProgress)
            }
            State::Leader(_) if !self.membership.is_leaving() => None,
            _ => Some(Refusal::NotLeader),
        }
    }

    /// Starts what is queued, as far as it may start now.
    pub(super) fn start_changes(&mut self, now: Instant, out: &mut Vec<Output>) {
        while let State::Leader(leadership) = &mut self.state {
            // Oracle: leader-completeness. Two leaders change the same old set, and a majority of the
            // one new set shares no server with a majority of the other.
            let hurries = planted!(self.faults, "change-without-own-commit");
            let own_term_committed = self.commit_index >= leadership.first_own || hurries;
            if leadership.changes.is_empty() || !self.membership.may_change(own_term_committed) {
                return;
            }
            let Some((id, change)) = leadership.changes.pop_front() else { return };
            if self.membership.is_leaving() {
                out.push(Output::Refused { id, refusal: Refusal::NotLeader });
                continue;
            }
            match self.membership.plan(&change) {
                Ok(planned) => {
                    let index = self.log.last_index().next();
                    leadership.proposals.push_back((index, id));
                    let (kind, data) = (planned.kind, planned.data);
                    let configuration = planned.configuration;
                    out.push(Output::Event(Event::ConfigurationChanging { change, configuration }));
                    let entry = Entry { index, term: self.term(), kind, data };
                    self.append_as_leader(now, vec![entry], out);
                }
                Err(refusal) => out.push(Output::Refused { id, refusal }),
            }
        }
    }

    /// An entry that carries a set was appended.
    pub(super) fn membership_appended(&mut self, entry: &Entry, out: &mut Vec<Output>) {
        let as_leader = matches!(self.state, State::Leader(_));
        if self.membership.appended(entry, as_leader) {
            self.tell_configuration(out);
        }
    }

    /// An entry that carries a set is committed. True when this leader has to step down, for it or (with
    /// `removed`) for one before it in the same commit: then nobody is sent to any more.
    pub(super) fn membership_committed(
        &mut self,
        now: Instant,
        entry: &Entry,
        removed: bool,
        out: &mut Vec<Output>,
    ) -> bool {
        let effect = self.membership.committed(entry);
        if effect.changed {
            self.tell_configuration(out);
        }
        if !removed {
            let from = self.log.last_index().next();
            self.follow_configuration(now, from, true, out);
        }
        removed || (effect.removed && matches!(self.state, State::Leader(_)))
    }

    /// The agent gives the set.
    pub(super) fn set_peers(
        &mut self,
        now: Instant,
        peers: &[ServerAddress],
        out: &mut Vec<Output>,
    ) {
        if peers.is_empty() {
            self.membership.forget_peers();
            return;
        }
        if matches!(self.state, State::Leader(_)) {
            return;
        }
        if self.membership.set_peers(peers) {
            self.tell_configuration(out);
        }
        if matches!(self.state, State::Candidate(_)) {
            self.become_follower(now, self.term(), None, StepDown::NewerTerm, out);
        }
    }

    pub(super) fn tell_configuration(&self, out: &mut Vec<Output>) {
        let in_force = self.membership.in_force();
        let (index, configuration) = (in_force.index, in_force.configuration.clone());
        out.push(Output::Event(Event::ConfigurationInForce { index, configuration }));
    }

    /// Brings the leader's followers in line with the set in force. Entries from `from` on are counted
    /// with its quorum; under the rules of `modern` all are.
    pub(super) fn follow_configuration(
        &mut self,
        now: Instant,
        from: LogIndex,
        committed: bool,
        out: &mut Vec<Output>,
    ) {
        let State::Leader(leadership) = &mut self.state else { return };
        let in_force = self.membership.in_force();
        leadership.votes = in_force.votes;
        let from = if self.membership.entries_keep_their_quorum() { from } else { LogIndex(0) };
        leadership.count_with(in_force.quorum, from);
        if committed || !self.membership.removal_waits_for_commit() {
            self.leave_removed(out);
        }
        self.reach_added(now, out);
        // What was asked of more voters may be confirmed by fewer.
        self.finish_read_round(now, out);
    }

    /// Sends a last append to everybody who is no longer in the set (best effort: nobody looks at the
    /// answer, also not at its term, so a server that was removed cannot depose this leader), and
    /// forgets them.
    fn leave_removed(&mut self, out: &mut Vec<Output>) {
        let mut position = 0;
        loop {
            let State::Leader(leadership) = &self.state else { return };
            let Some(follower) = leadership.peers.get(position) else { return };
            let others = &self.membership.in_force().others;
            if others.iter().any(|server| server.address == follower.address) {
                position += 1;
                continue;
            }
            let (address, next) = (follower.address.clone(), follower.next);
            let pipelined = follower.mode == Mode::Pipeline;
            let (peer, index) = (address.clone(), self.membership.in_force().index);
            out.push(Output::Event(Event::PeerRemoved { peer, index }));
            // With a snapshot under way, or needed, there is no append to send.
            if self.log.term_at(LogIndex(next.0 - 1)).is_some() {
                let request = Request::AppendEntries(self.append_from(next));
                let to = address.clone();
                self.call(to, Lane::Replication, request, Waiting::Farewell, out);
            }
            if pipelined {
                out.push(Output::Event(Event::PipelineAborted(address)));
            }
            self.forget_follower(position);
        }
    }

    /// Takes a follower off the list, and renumbers everything that refers to those behind it.
    fn forget_follower(&mut self, position: usize) {
        let State::Leader(leadership) = &mut self.state else { return };
        leadership.peers.remove(position);
        leadership.reads.forget_follower(position);
        self.waiting.retain(|_, waiting| match waiting.follower() {
            Some(peer) if *peer == position => false,
            Some(peer) => {
                *peer -= usize::from(*peer > position);
                true
            }
            None => true,
        });
    }

    /// Begins with everybody who is new, and learns who votes. The last entry goes to them at once, so that
    /// they say where their log ends.
    fn reach_added(&mut self, now: Instant, out: &mut Vec<Output>) {
        let next = self.log.last_index();
        for at in 0..self.membership.in_force().others.len() {
            let State::Leader(leadership) = &mut self.state else { return };
            let server = &self.membership.in_force().others[at];
            let voter = server.suffrage == Suffrage::Voter;
            let known = leadership.peers.iter_mut().find(|peer| peer.address == server.address);
            if let Some(follower) = known {
                follower.voter = voter;
                continue;
            }
            let address = server.address.clone();
            let heartbeat_at = now + self.prng.timeout(self.config.heartbeat_timeout / 10);
            let follower =
                Progress::new(address.clone(), voter, next, now, heartbeat_at, &self.config);
            leadership.peers.push(follower);
            out.push(Output::Event(Event::PeerAdded(address)));
        }
        invariant!(
            !self.membership.is_safe() || self.followers_match(),
            "the followers are not those of the configuration"
        );
    }

    /// Whether the leader's list is that of the set in force.
    pub(super) fn followers_match(&self) -> bool {
        let State::Leader(leadership) = &self.state else { return true };
        let others = &self.membership.in_force().others;
        leadership.peers.len() == others.len()
            && leadership.peers.iter().all(|peer| {
                let server = others.iter().find(|server| server.address == peer.address);
                server.is_some_and(|it| (it.suffrage == Suffrage::Voter) == peer.voter)
            })
    }
}
