//! Leading: replication, commitment, heartbeats, lease (spec cluster 4.7, 4.10; Raft paper 5.3, 5.4).
//!
//! * A leadership starts with a Noop. Only entries from there on are committed by counting (paper
//!   5.4.2, figure 8); earlier ones are committed along with them.
//! * Entries leave for the followers while the own disk still writes them (thesis 10.2.1). That is
//!   safe because the leader counts itself only up to its durable index.
//! * Heartbeats have their own lane: a replication call that hangs for ten seconds delays neither
//!   them nor the lease, which counts answers of any kind.

use std::collections::VecDeque;

use crate::base::quorum::reached_by;
use crate::base::{CallId, Duration, Instant, LogIndex, RequestId};
use crate::planted;
use crate::raft::core::{Raft, State, Waiting};
use crate::raft::event::{Event, StepDown};
use crate::raft::membership::carries_membership;
use crate::raft::progress::{Mode, Progress};
use crate::raft::reads::Reads;
use crate::raft::transfer::Transfer;
use crate::raft::types::{
    AppendEntries, AppendEntriesResponse, Change, Entry, Lane, Output, Proposal, Refusal, Request,
    Suffrage,
};

/// The lease is never checked again sooner than this (spec cluster 4.7).
const LEASE_CHECK_MIN: Duration = Duration::from_millis(10);

/// What a leader knows.
#[derive(Debug)]
pub(super) struct Leadership {
    /// Index of the Noop it began with, or of the one after an operator's snapshot.
    pub(super) first_own: LogIndex,
    /// The other servers, in the order of the configuration.
    pub(super) peers: Vec<Progress>,
    /// Whether the leader itself votes.
    pub(super) votes: bool,
    /// When the lease is checked next.
    lease_at: Instant,
    /// Appended and not committed, in the order of the log.
    pub(super) proposals: VecDeque<(LogIndex, RequestId)>,
    /// Changes of the set that wait their turn.
    pub(super) changes: VecDeque<(RequestId, Change)>,
    pub(super) transfer: Option<Transfer>,
    pub(super) reads: Reads,
    /// From which entry on how many logs decide; the first is for all before, too.
    quorums: VecDeque<(LogIndex, usize)>,
    /// Where the logs that count end: filled anew each time.
    stored: Vec<LogIndex>,
}

impl Leadership {
    pub(super) fn deadline(&self, last_index: LogIndex, max_inflight: usize) -> Instant {
        let transfer = self.transfer.as_ref().map(|transfer| transfer.deadline);
        let soonest = transfer.into_iter().fold(self.lease_at, Instant::min);
        self.peers.iter().fold(soonest, |soonest, peer| {
            let replication = peer.replication_deadline(last_index, max_inflight);
            let heartbeat = peer.heartbeat_deadline();
            replication.into_iter().chain(heartbeat).fold(soonest, Instant::min)
        })
    }

    /// Who proposed this entry, which is committed now.
    pub(super) fn take_proposal(&mut self, index: LogIndex) -> Option<RequestId> {
        let &(first, id) = self.proposals.front()?;
        if first != index {
            return None;
        }
        self.proposals.pop_front();
        Some(id)
    }

    /// The oldest proposal that waits for its commit, and the newest.
    pub(super) fn open_proposals(&self) -> Option<(LogIndex, LogIndex)> {
        Some((self.proposals.front()?.0, self.proposals.back()?.0))
    }

    /// An operator's snapshot takes the place of the log, and this request's Noop comes after it: what
    /// was appended may have been committed somewhere, reads wait for the Noop (see `restore`).
    pub(super) fn log_is_replaced(&mut self, noop: LogIndex, id: RequestId, out: &mut Vec<Output>) {
        let refusal = Refusal::SnapshotRestored;
        out.extend(self.proposals.drain(..).map(|(_, id)| Output::Refused { id, refusal }));
        self.proposals.push_back((noop, id));
        self.first_own = noop;
        self.reads.begin_again();
        for peer in self.peers.iter_mut().filter(|peer| peer.mode != Mode::Snapshot) {
            if peer.needs_snapshot() {
                out.push(Output::Event(Event::PipelineAborted(peer.address.clone())));
            }
        }
    }

    /// Entries from here on are decided by this many logs.
    pub(super) fn count_with(&mut self, quorum: usize, from: LogIndex) {
        self.quorums.retain(|&(earlier, _)| earlier < from);
        if self.quorums.back().is_none_or(|&(_, before)| before != quorum) {
            self.quorums.push_back((from, quorum));
        }
    }

    /// How far the log is stored by those who decide, when the leader's own log ends at `own`.
    fn stored_by_quorum(&mut self, own: LogIndex, committed: LogIndex) -> LogIndex {
        // What is committed is decided: it must not be asked of more servers than there are left.
        while self.quorums.get(1).is_some_and(|next| next.0 <= committed.next()) {
            self.quorums.pop_front();
        }
        self.stored.clear();
        self.stored.extend(self.votes.then_some(own));
        let voters = self.peers.iter().filter(|peer| peer.voter);
        self.stored.extend(voters.map(|peer| peer.matched));
        self.stored.sort_unstable_by(|a, b| b.cmp(a));
        let mut reached = LogIndex(0);
        for (at, &(_, quorum)) in self.quorums.iter().enumerate() {
            let stored = reached_by(quorum, &self.stored);
            // The entry that changes how many decide, and all after it, is decided by the next.
            let end = self.quorums.get(at + 1).map(|next| LogIndex(next.0.0 - 1));
            reached = reached.max(end.map_or(stored, |end| stored.min(end)));
            if end.is_none_or(|end| stored < end) {
                break;
            }
        }
        reached
    }

    /// Leadership is over: what was appended may still commit, a read has had no confirmation, a
    /// change that waited was not begun, and whoever handed over has what they wanted.
    pub(super) fn end(mut self, out: &mut Vec<Output>) {
        let pipelined = self.peers.iter().filter(|peer| peer.mode == Mode::Pipeline);
        out.extend(pipelined.map(|peer| {
            let peer = peer.address.clone();
            Output::Event(Event::PipelineAborted(peer))
        }));
        let transfer = self.transfer.take();
        out.extend(transfer.map(|it| Output::Transferred { id: it.id, result: Ok(()) }));
        let not_begun = Refusal::NotLeader;
        let changes = self.changes.drain(..);
        out.extend(changes.map(|(id, _)| Output::Refused { id, refusal: not_begun }));
        let refusal = Refusal::LeadershipLost;
        out.extend(self.proposals.drain(..).map(|(_, id)| Output::Refused { id, refusal }));
        out.extend(
            self.reads
                .drain()
                .into_iter()
                .map(|id| Output::Verified { id, result: Err(Refusal::NotLeader) }),
        );
    }
}

impl Raft {
    /// The election is won: open the term with an entry and tell everybody.
    pub(super) fn become_leader(&mut self, now: Instant, out: &mut Vec<Output>) {
        let me = self.config.address.clone();
        let next = self.log.last_index().next();
        let mut peers = Vec::new();
        self.membership.elected();
        let in_force = self.membership.in_force();
        for server in &in_force.others {
            let heartbeat_at = now + self.prng.timeout(self.config.heartbeat_timeout / 10);
            let voter = server.suffrage == Suffrage::Voter;
            let address = server.address.clone();
            peers.push(Progress::new(address, voter, next, now, heartbeat_at, &self.config));
        }
        let (votes, quorum) = (in_force.votes, in_force.quorum);
        self.state = State::Leader(Box::new(Leadership {
            first_own: next,
            peers,
            votes,
            lease_at: now + self.config.leader_lease_timeout,
            proposals: VecDeque::new(),
            changes: VecDeque::new(),
            transfer: None,
            reads: Reads::default(),
            quorums: VecDeque::from([(LogIndex(0), quorum)]),
            stored: Vec::new(),
        }));
        self.enter_role(now, out);
        self.set_leader(Some(me), out);
        let (kind, data) = self.membership.opening();
        let opening = Entry { index: next, term: self.term(), kind, data };
        self.append_as_leader(now, vec![opening], out);
    }

    /// Appends proposals to the log and sends them on at once.
    pub(super) fn propose(
        &mut self,
        now: Instant,
        proposals: Vec<Proposal>,
        out: &mut Vec<Output>,
    ) {
        if let Some(refusal) = self.refusal_of_new_work() {
            out.extend(proposals.iter().map(|one| Output::Refused { id: one.id, refusal }));
            return;
        }
        let State::Leader(leadership) = &mut self.state else { return };
        if proposals.is_empty() {
            return;
        }
        let mut index = self.log.last_index();
        let mut entries = Vec::with_capacity(proposals.len());
        for Proposal { id, kind, data } in proposals {
            index = index.next();
            leadership.proposals.push_back((index, id));
            entries.push(Entry { index, term: self.hard_state.term, kind, data });
        }
        self.append_as_leader(now, entries, out);
    }

    pub(super) fn append_as_leader(
        &mut self,
        now: Instant,
        entries: Vec<Entry>,
        out: &mut Vec<Output>,
    ) {
        let first = self.log.last_index().next();
        let changes = entries.iter().any(|entry| carries_membership(entry.kind));
        self.append_to_log(entries, out);
        if changes {
            self.follow_configuration(now, first, false, out);
        }
        self.replicate_to_all(now, out);
        self.advance_commit(now, out);
    }

    pub(super) fn replicate_to_all(&mut self, now: Instant, out: &mut Vec<Output>) {
        for peer in 0..self.peer_count() {
            self.replicate(now, peer, out);
        }
    }

    fn peer_count(&self) -> usize {
        match &self.state {
            State::Leader(leadership) => leadership.peers.len(),
            _ => 0,
        }
    }

    /// Sends to one follower all that it is ready for.
    pub(super) fn replicate(&mut self, now: Instant, peer: usize, out: &mut Vec<Output>) {
        let last_index = self.log.last_index();
        loop {
            let State::Leader(leadership) = &self.state else { return };
            let progress = &leadership.peers[peer];
            if !progress.is_ready(now, self.config.max_inflight)
                || !progress.has_work(now, last_index)
            {
                return;
            }
            let (next, to) = (progress.next, progress.address.clone());
            // The entry before the next one is compacted, so the log check cannot be asked for.
            if next <= self.log.start() {
                self.send_snapshot(peer, out);
                return;
            }
            let request = self.append_from(next);
            let last = LogIndex(request.prev_index.0 + request.entries.len() as u64);
            let waiting = Waiting::Append { peer, last };
            let call =
                self.call(to, Lane::Replication, Request::AppendEntries(request), waiting, out);
            let refresh_at = now + self.config.heartbeat_timeout;
            if let State::Leader(leadership) = &mut self.state {
                leadership.peers[peer].sent(call, last, refresh_at);
            }
        }
    }

    /// AppendEntries that starts at `next`, with as much as one request may carry.
    pub(super) fn append_from(&self, next: LogIndex) -> AppendEntries {
        let prev_index = LogIndex(next.0 - 1);
        // Oracle: leader-completeness. One entry a request, so that an old entry can reach a quorum
        // while the Noop has not (Raft paper figure 8); see also `advance_commit`.
        let one_by_one = planted!(self.faults, "commit-older-term");
        let limit = if one_by_one { 1 } else { self.config.max_append_entries };
        let entries = self.log.slice(next, LogIndex(prev_index.0 + limit as u64));
        AppendEntries {
            term: self.term(),
            leader: self.config.address.clone(),
            prev_index,
            prev_term: self.log.term_at(prev_index).expect("the leader has what it sends on from"),
            entries: head_of_size(entries, self.config.max_append_bytes).to_vec(),
            leader_commit: self.commit_index,
        }
    }

    /// A follower answered an append.
    pub(super) fn append_answered(
        &mut self,
        now: Instant,
        peer: usize,
        call: CallId,
        last: LogIndex,
        response: AppendEntriesResponse,
        out: &mut Vec<Output>,
    ) {
        let State::Leader(leadership) = &mut self.state else { return };
        let progress = &mut leadership.peers[peer];
        progress.last_contact = now;
        let current = progress.answered(call);
        let address = progress.address.clone();
        if response.success {
            // Oracle: state-machine-safety. What was appended since the request left is counted too.
            let last = match planted!(self.faults, "match-is-log-end") {
                true => self.log.last_index(),
                false => last,
            };
            // A follower that deletes what it has from the first entry that comes may have deleted this
            // again, if the request was given up and repeated.
            if !current && !self.membership.keeps_present_entries() {
                return;
            }
            if progress.succeeded(last, current) {
                out.push(Output::Event(Event::Pipelining(address.clone())));
            }
            self.push_transfer(out);
            self.advance_commit(now, out);
            // What is committed may have taken followers off the list, this one too.
            let State::Leader(leadership) = &self.state else { return };
            if leadership.peers.get(peer).is_none_or(|there| there.address != address) {
                self.replicate_to_all(now, out);
                return;
            }
        } else if current {
            if progress.rejected(response.last_log, response.no_retry_backoff, now) {
                out.push(Output::Event(Event::PipelineAborted(address.clone())));
            }
            let next = progress.next;
            out.push(Output::Event(Event::AppendRejected { peer: address, next }));
        }
        self.replicate(now, peer, out);
    }

    /// An append ended without an answer.
    pub(super) fn append_failed(
        &mut self,
        now: Instant,
        peer: usize,
        call: CallId,
        out: &mut Vec<Output>,
    ) {
        let State::Leader(leadership) = &mut self.state else { return };
        let progress = &mut leadership.peers[peer];
        if progress.answered(call) && progress.failed(now) {
            out.push(Output::Event(Event::PipelineAborted(progress.address.clone())));
        }
    }

    /// Commits what a quorum of voters has stored (spec cluster 4.7; Raft paper 5.3, 5.4.2).
    pub(super) fn advance_commit(&mut self, now: Instant, out: &mut Vec<Output>) {
        let reached = self.stored_by_quorum();
        let State::Leader(leadership) = &self.state else { return };
        // Oracle: leader-completeness. An entry of an older term is not safe on a majority.
        let counts_old = planted!(self.faults, "commit-older-term");
        if reached <= self.commit_index || (reached < leadership.first_own && !counts_old) {
            return;
        }
        self.commit_to(now, reached, out);
        let State::Leader(leadership) = &mut self.state else { return };
        for progress in leadership.peers.iter_mut().filter(|peer| !peer.commit_is_due()) {
            progress.tell_commit(now + self.prng.timeout(self.config.commit_timeout));
        }
        self.start_read_round(now, out);
        self.start_changes(now, out);
    }

    fn stored_by_quorum(&mut self) -> LogIndex {
        // Oracle: state-machine-safety. What only the leader has is applied.
        if planted!(self.faults, "apply-before-commit") {
            return self.log.last_index();
        }
        // The leader's own share of "ack-before-durable", see `follower`.
        let unsynced = [
            planted!(self.faults, "ack-before-durable"),
            // Oracle: durability. Alone, it commits before its disk has anything.
            planted!(self.faults, "lone-leader-acks-unsynced"),
        ]
        .contains(&true);
        let own = if unsynced { self.log.last_index() } else { self.log.durable_index() };
        match &mut self.state {
            State::Leader(leadership) => leadership.stored_by_quorum(own, self.commit_index),
            _ => LogIndex(0),
        }
    }

    /// Heartbeats, retries and commit indexes that are due, then the lease.
    pub(super) fn leader_timers(&mut self, now: Instant, out: &mut Vec<Output>) {
        for peer in 0..self.peer_count() {
            let State::Leader(leadership) = &self.state else { return };
            if leadership.peers[peer].heartbeat_deadline().is_some_and(|at| at <= now) {
                self.send_heartbeat(peer, out);
            }
            self.replicate(now, peer, out);
        }
        self.check_transfer(now, out);
        let State::Leader(leadership) = &self.state else { return };
        if leadership.lease_at <= now {
            self.check_lease(now, out);
        }
    }

    /// For how long each of the other voters has said nothing to this leader; nobody, when it does not lead.
    #[must_use]
    pub fn silences(&self, now: Instant) -> Vec<Duration> {
        let State::Leader(leadership) = &self.state else { return Vec::new() };
        let voters = leadership.peers.iter().filter(|peer| peer.voter);
        voters.map(|peer| now.since(peer.last_contact)).collect()
    }

    /// A leader that has not heard from a quorum within its lease stops leading (spec cluster 4.7).
    fn check_lease(&mut self, now: Instant, out: &mut Vec<Output>) {
        let lease = self.config.leader_lease_timeout;
        let State::Leader(leadership) = &mut self.state else { return };
        let mut in_contact = usize::from(leadership.votes);
        let mut oldest = Duration::ZERO;
        for peer in leadership.peers.iter().filter(|peer| peer.voter) {
            let silent = now.since(peer.last_contact);
            if silent <= lease {
                in_contact += 1;
                oldest = oldest.max(silent);
            } else if silent <= lease * 3 {
                // After that, Consul mentions it at debug level only.
                let peer = peer.address.clone();
                out.push(Output::Event(Event::ContactLost { peer, silent }));
            }
        }
        leadership.lease_at = now + (lease - oldest).max(LEASE_CHECK_MIN);
        // Oracle: linearizable. A leader that is cut off answers default reads for as long as it is.
        let checked = !planted!(self.faults, "lease-not-checked");
        if in_contact < self.membership.in_force().quorum && checked {
            self.become_follower(now, self.term(), None, StepDown::LeaseExpired, out);
        }
    }
}

/// As many of these entries as have at most so many bytes of data; one at least, if there is one.
fn head_of_size(entries: &[Entry], max_bytes: usize) -> &[Entry] {
    let mut bytes = 0usize;
    let fit = entries.iter().take_while(|entry| {
        bytes = bytes.saturating_add(entry.data.len());
        bytes <= max_bytes
    });
    let count = fit.count().max(1).min(entries.len());
    &entries[..count]
}
