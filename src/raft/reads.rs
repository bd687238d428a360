//! Linearizable reads without a log entry (thesis 6.4; spec cluster 4.10), and the heartbeats that
//! confirm them.
//!
//! ```text
//!   Verify a ──► round 1: heartbeats to all ───────── quorum answers ──► a: Ok(commit at start)
//!   Verify b, c ── while it is out ──► wait ──► round 2: one set of heartbeats for both
//! ```
//!
//! A round counts only heartbeats that left after it began, hence after all of its requests arrived: an
//! answer that was already under way says nothing about what happened since. Only voters count. One
//! round is out at a time and everything that arrives meanwhile shares the next, so the cost of
//! reads is one exchange per round trip, however many there are.

use crate::base::{Instant, LogIndex, RequestId, Term};
use crate::planted;
use crate::raft::core::{Raft, State, Waiting};
use crate::raft::types::{AppendEntries, Lane, Output, Refusal, Request};

/// The reads of one leadership that wait for confirmation.
#[derive(Debug, Default)]
pub(super) struct Reads {
    /// For the next round.
    queued: Vec<RequestId>,
    round: Option<Round>,
    /// Rounds begun so far; a heartbeat carries this number as of when it left.
    begun: u64,
}

#[derive(Debug)]
struct Round {
    reads: Vec<RequestId>,
    /// The commit index when it began: every write that was acknowledged before any of its reads
    /// arrived lies at or below.
    index: LogIndex,
    /// Positions of the followers that have confirmed it.
    confirmed: Vec<usize>,
}

impl Reads {
    /// The round that is out counts for nothing; its reads wait for another.
    pub(super) fn begin_again(&mut self) {
        self.queued = self.drain();
    }

    /// All that waits, in the order of arrival.
    pub(super) fn drain(&mut self) -> Vec<RequestId> {
        let mut reads = self.round.take().map(|round| round.reads).unwrap_or_default();
        reads.append(&mut self.queued);
        reads
    }

    /// The follower at this position has left the list.
    pub(super) fn forget_follower(&mut self, position: usize) {
        let Some(round) = &mut self.round else { return };
        round.confirmed.retain(|&peer| peer != position);
        for peer in &mut round.confirmed {
            *peer -= usize::from(*peer > position);
        }
    }
}

impl Raft {
    /// A read asks whether this server still leads.
    pub(super) fn verify(&mut self, now: Instant, id: RequestId, out: &mut Vec<Output>) {
        let State::Leader(leadership) = &mut self.state else {
            out.push(Output::Verified { id, result: Err(Refusal::NotLeader) });
            return;
        };
        // Oracle: linearizable. A leader that is cut off serves what it last knew.
        if planted!(self.faults, "verify-counts-old-heartbeats")
            && self.commit_index >= leadership.first_own
        {
            out.push(Output::Verified { id, result: Ok(self.commit_index) });
            return;
        }
        leadership.reads.queued.push(id);
        self.start_read_round(now, out);
    }

    /// Begins a round for what is queued, unless one is out. A leader that has not committed an
    /// entry of its own term does not know yet what is committed: its reads wait.
    pub(super) fn start_read_round(&mut self, now: Instant, out: &mut Vec<Output>) {
        let State::Leader(leadership) = &mut self.state else { return };
        let reads = &mut leadership.reads;
        // Oracle: linearizable. What an earlier leader has committed is not known here yet.
        let waits = !planted!(self.faults, "read-before-own-commit");
        if reads.queued.is_empty()
            || reads.round.is_some()
            || (self.commit_index < leadership.first_own && waits)
        {
            return;
        }
        reads.begun += 1;
        reads.round = Some(Round {
            reads: std::mem::take(&mut reads.queued),
            index: self.commit_index,
            confirmed: Vec::new(),
        });
        let voters: Vec<usize> =
            (0..leadership.peers.len()).filter(|&peer| leadership.peers[peer].voter).collect();
        for peer in voters {
            self.send_heartbeat(peer, out);
        }
        self.finish_read_round(now, out);
    }

    /// Ends the round if a quorum has confirmed it, and begins the next. The set may have changed since
    /// it began: who votes now counts.
    pub(super) fn finish_read_round(&mut self, now: Instant, out: &mut Vec<Output>) {
        let State::Leader(leadership) = &mut self.state else { return };
        let (own, quorum) = (usize::from(leadership.votes), self.membership.in_force().quorum);
        let peers = &leadership.peers;
        let Some(round) = leadership.reads.round.take_if(|round| {
            own + round.confirmed.iter().filter(|&&peer| peers[peer].voter).count() >= quorum
        }) else {
            return;
        };
        let result = Ok(round.index);
        out.extend(round.reads.into_iter().map(|id| Output::Verified { id, result }));
        self.start_read_round(now, out);
    }

    /// One heartbeat, whether or not another is out.
    pub(super) fn send_heartbeat(&mut self, peer: usize, out: &mut Vec<Output>) {
        let term = self.term();
        let State::Leader(leadership) = &mut self.state else { return };
        let progress = &mut leadership.peers[peer];
        progress.heartbeat_sent();
        let to = progress.address.clone();
        let round = leadership.reads.begun;
        let heartbeat = AppendEntries {
            term,
            leader: self.config.address.clone(),
            prev_index: LogIndex(0),
            prev_term: Term(0),
            entries: Vec::new(),
            leader_commit: LogIndex(0),
        };
        let waiting = Waiting::Heartbeat { peer, round };
        self.call(to, Lane::Heartbeat, Request::AppendEntries(heartbeat), waiting, out);
    }

    /// A heartbeat was answered (accepted or not), or has no answer.
    pub(super) fn heartbeat_ended(
        &mut self,
        now: Instant,
        peer: usize,
        round: u64,
        accepted: Option<bool>,
        out: &mut Vec<Output>,
    ) {
        let interval = self.prng.timeout(self.config.heartbeat_timeout / 10);
        let backoff_max = self.config.heartbeat_timeout / 2;
        let State::Leader(leadership) = &mut self.state else { return };
        let progress = &mut leadership.peers[peer];
        progress.heartbeat_ended(accepted.is_some(), now, interval, backoff_max);
        if accepted.is_some() {
            progress.last_contact = now;
        }
        let counts = accepted == Some(true) && progress.voter && round == leadership.reads.begun;
        if let Some(open) = leadership.reads.round.as_mut().filter(|_| counts)
            && !open.confirmed.contains(&peer)
        {
            open.confirmed.push(peer);
            self.finish_read_round(now, out);
        }
    }
}
