//! [`Raft`]: the state of one server, the way in, and what all roles share.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::base::{CallId, Faults, Instant, LogIndex, PersistId, Prng, ServerAddress, Term};
use crate::invariant;
use crate::planted;
use crate::raft::config::RaftConfig;
use crate::raft::durability::{Durability, Promise};
use crate::raft::event::{Event, Role, StepDown};
use crate::raft::leader::Leadership;
use crate::raft::log::RaftLog;
use crate::raft::membership::{Membership, carries_membership};
use crate::raft::snapshot::Snapshots;
use crate::raft::types::{
    CallError, Committed, Entry, EntryKind, HardState, Input, Lane, Output, Refusal, Request,
    RequestPreVoteResponse, Response, Restored, Vote,
};

/// What a role knows that the others do not.
#[derive(Debug)]
pub(super) enum State {
    Follower,
    Candidate(Campaign),
    Leader(Box<Leadership>),
}

/// A candidate's count.
#[derive(Debug)]
pub(super) struct Campaign {
    /// Asking whether to stand, not standing yet.
    pub(super) is_pre_vote: bool,
    /// The leader asked for it.
    pub(super) is_transfer: bool,
    pub(super) granted: usize,
    pub(super) refused: usize,
    /// Computed on entry (spec cluster 4.4).
    pub(super) needed: usize,
}

impl Campaign {
    pub(super) fn pre_vote(needed: usize) -> Self {
        Self { is_pre_vote: true, is_transfer: false, granted: 0, refused: 0, needed }
    }

    pub(super) fn election(needed: usize, is_transfer: bool) -> Self {
        Self { is_pre_vote: false, is_transfer, granted: 0, refused: 0, needed }
    }
}

/// A call that waits for its answer, and what the answer will mean.
#[derive(Clone, Copy, Debug)]
pub(super) enum Waiting {
    Vote,
    PreVote,
    TimeoutNow,
    /// The last append to a server that was removed: nobody looks at the answer.
    Farewell,
    /// Position of the peer; the newest read round when it left.
    Heartbeat {
        peer: usize,
        round: u64,
    },
    /// Position of the peer; the follower's log reaches here if it accepts.
    Append {
        peer: usize,
        last: LogIndex,
    },
    /// Position of the peer; the snapshot's index.
    Snapshot {
        peer: usize,
        index: LogIndex,
    },
}

impl Waiting {
    /// The follower it is about, by position in the leader's list.
    pub(super) fn follower(&mut self) -> Option<&mut usize> {
        match self {
            Waiting::Vote | Waiting::PreVote | Waiting::TimeoutNow | Waiting::Farewell => None,
            Waiting::Heartbeat { peer, .. }
            | Waiting::Append { peer, .. }
            | Waiting::Snapshot { peer, .. } => Some(peer),
        }
    }
}

/// One server's consensus core.
#[derive(Debug)]
pub struct Raft {
    pub(super) config: RaftConfig,
    pub(super) faults: Faults,
    pub(super) prng: Prng,
    pub(super) membership: Box<dyn Membership>,
    pub(super) log: RaftLog,
    pub(super) hard_state: HardState,
    pub(super) durability: Durability,
    pub(super) state: State,
    pub(super) leader: Option<ServerAddress>,
    pub(super) commit_index: LogIndex,
    /// Handed out in [`Output::Commit`] up to here.
    pub(super) emitted: LogIndex,
    /// A follower's last contact with its leader (spec cluster 4.3).
    pub(super) last_contact: Option<Instant>,
    /// The one timer of followers and candidates.
    pub(super) timer: Instant,
    pub(super) snapshots: Snapshots,
    /// Set while damage on the disk keeps it from voting: the term found there.
    pub(super) abstention: Option<Term>,
    /// Why it does not stand was said in this follower period.
    pub(super) warned: bool,
    /// Calls of this role that are not answered yet; those of earlier roles are forgotten.
    pub(super) waiting: BTreeMap<CallId, Waiting>,
    next_call: CallId,
    /// The disk refused a batch: this core says nothing true any more.
    pub(super) disk_failed: bool,
    /// A leader has deleted what was committed (`legacy` alone): what follows from that is no bug.
    pub(super) lost_committed: bool,
    /// It has led and stepped down (for a planted bug).
    pub(super) was_deposed: bool,
    pub(super) steps: u64,
}

/// The first state of a new cluster (spec cluster 4.8): term 1 and one configuration entry, whose
/// encoded form is `data`. To be written to an empty disk and then restored from.
#[must_use]
pub fn bootstrap(data: Bytes) -> (HardState, Vec<Entry>) {
    let entry = Entry { index: LogIndex(1), term: Term(1), kind: EntryKind::Configuration, data };
    (HardState { term: Term(1), vote: None }, vec![entry])
}

impl Raft {
    /// A follower with what was found on disk. Its first events tell the restored term and role.
    ///
    /// # Panics
    /// When the restored log is not contiguous, does not agree with the snapshot
    /// ([`Restored::reconcile`]), runs ahead of the restored term, or has a set of servers that cannot
    /// be read: storage has to refuse such a disk.
    pub fn new(
        config: RaftConfig,
        restored: Restored,
        mut membership: Box<dyn Membership>,
        mut prng: Prng,
        faults: Faults,
        now: Instant,
        out: &mut Vec<Output>,
    ) -> Self {
        let readable = membership.restored(&restored);
        invariant!(readable.is_ok(), "restored log: {readable:?}");
        let snapshot = restored.snapshot.unwrap_or_default();
        // A server takes snapshots of what is committed, though its own disk may still be writing the
        // term and the entries: a power cut then leaves the snapshot alone. Nobody was told of a
        // vote or an entry in that term, so to begin in it without a vote breaks no promise.
        let mut hard_state = restored.hard_state;
        let mut durability = Durability::new();
        if hard_state.term < snapshot.term {
            hard_state.term = snapshot.term;
            durability.hard_state_changed();
        }
        // Oracle: leader-completeness. It votes for a server that lacks what it has lost itself.
        let abstains = restored.abstains && !planted!(faults, "abstainer-votes");
        let timer = now + prng.timeout(config.heartbeat_timeout);
        let forked = prng.fork("snapshot");
        let mut raft = Self {
            config,
            faults,
            prng,
            membership,
            log: RaftLog::restored(restored.entries, (snapshot.index, snapshot.term)),
            abstention: abstains.then_some(hard_state.term),
            hard_state,
            durability,
            state: State::Follower,
            leader: None,
            commit_index: snapshot.index,
            emitted: snapshot.index,
            snapshots: Snapshots::new(snapshot, forked, now),
            last_contact: None,
            timer,
            warned: false,
            waiting: BTreeMap::new(),
            next_call: CallId(1),
            disk_failed: false,
            lost_committed: false,
            was_deposed: false,
            steps: 0,
        };
        invariant!(
            raft.log.last_term() <= raft.term(),
            "restored log is of term {}, restored state of term {}",
            raft.log.last_term(),
            raft.term()
        );
        out.push(Output::Event(Event::TermChanged(raft.term())));
        out.push(Output::Event(Event::RoleChanged { role: Role::Follower, term: raft.term() }));
        if raft.abstains() {
            out.push(Output::Event(Event::Abstaining));
        }
        raft.arm_snapshot_timer(now);
        if !raft.configuration().servers.is_empty() {
            raft.tell_configuration(out);
        }
        raft
    }

    /// Takes one input and appends what follows from it to `out`.
    pub fn step(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        let before = (self.role(), self.term(), self.commit_index);
        if self.disk_failed || has_absurd_term(&input) {
            self.refuse(now, input, out);
            return;
        }
        match input {
            Input::Wake => {}
            Input::Request { token, request } => match request {
                Request::RequestVote(request) => self.handle_vote(now, token, &request, out),
                Request::AppendEntries(request) => self.handle_append(now, token, request, out),
                Request::InstallSnapshot(request) => self.handle_install(now, token, request, out),
                Request::RequestPreVote(request) => self.handle_pre_vote(token, &request, out),
                Request::TimeoutNow => self.handle_timeout_now(now, token, out),
            },
            Input::Reply { call, result } => self.handle_reply(now, call, result, out),
            Input::Persisted(id) => self.handle_persisted(now, id, out),
            Input::PersistFailed(_) => self.handle_disk_failure(now, out),
            Input::Propose(proposals) => self.propose(now, proposals, out),
            Input::Verify(id) => self.verify(now, id, out),
            Input::SnapshotSaved(meta) => self.snapshot_saved(meta, out),
            Input::SnapshotFailed(index) => self.snapshot_failed(index, out),
            Input::Restore { id, index } => self.restore(now, id, index, out),
            Input::ChangeConfiguration { id, change } => {
                self.change_configuration(now, id, change, out);
            }
            Input::TransferLeadership { id, to } => {
                self.transfer_leadership(now, id, to.as_ref(), out);
            }
            Input::SetPeers(peers) => self.set_peers(now, &peers, out),
            Input::Bootstrap(configuration) => self.bootstrap(&configuration, out),
        }
        if !self.disk_failed {
            self.handle_timers(now, out);
            self.durability.write_peers(self.membership.take_peers_file());
            out.extend(self.durability.close(&self.durable_form()).map(Output::Persist));
        }
        self.assert_after_step(before);
    }

    /// What of the hard state goes to disk: all of it.
    fn durable_form(&self) -> HardState {
        let mut hard_state = self.hard_state.clone();
        // Oracle: vote-durability. A server forgets its vote in a power cut and votes again.
        if planted!(self.faults, "vote-not-persisted") {
            hard_state.vote = None;
        }
        hard_state
    }

    /// Raises the term; to be written with this step.
    pub(super) fn adopt_term(&mut self, term: Term, out: &mut Vec<Output>) {
        invariant!(term > self.term(), "term goes from {} to {term}", self.term());
        self.hard_state.term = term;
        self.durability.hard_state_changed();
        out.push(Output::Event(Event::TermChanged(term)));
    }

    /// Votes in the current term; to be written with this step.
    pub(super) fn vote_for(&mut self, candidate: ServerAddress, out: &mut Vec<Output>) {
        let vote = Vote { term: self.term(), candidate };
        self.hard_state.vote = Some(vote.clone());
        self.durability.hard_state_changed();
        out.push(Output::Event(Event::Voted(vote)));
    }

    /// Follows `leader`, or nobody yet, in a term that may be new. A deposed leader ends what it owes
    /// (spec cluster 4.7).
    pub(super) fn become_follower(
        &mut self,
        now: Instant,
        term: Term,
        leader: Option<ServerAddress>,
        why: StepDown,
        out: &mut Vec<Output>,
    ) {
        if term > self.term() {
            self.adopt_term(term, out);
        }
        match std::mem::replace(&mut self.state, State::Follower) {
            State::Follower => {}
            State::Candidate(_) => self.enter_role(now, out),
            State::Leader(leadership) => {
                out.push(Output::Event(Event::SteppedDown(why)));
                self.last_contact = Some(now);
                self.was_deposed = true;
                self.enter_role(now, out);
                leadership.end(out);
            }
        }
        self.set_leader(leader, out);
    }

    /// The state has just been replaced by another role's.
    pub(super) fn enter_role(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.waiting.clear();
        self.warned = false;
        let base = match self.state {
            State::Follower => self.config.heartbeat_timeout,
            _ => self.config.election_timeout,
        };
        self.timer = now + self.prng.timeout(base);
        out.push(Output::Event(Event::RoleChanged { role: self.role(), term: self.term() }));
    }

    pub(super) fn set_leader(&mut self, leader: Option<ServerAddress>, out: &mut Vec<Output>) {
        if self.leader != leader {
            self.leader.clone_from(&leader);
            out.push(Output::Event(Event::LeaderChanged(leader)));
        }
    }

    /// Sends a request and remembers what its answer will mean.
    pub(super) fn call(
        &mut self,
        to: ServerAddress,
        lane: Lane,
        request: Request,
        waiting: Waiting,
        out: &mut Vec<Output>,
    ) -> CallId {
        let call = self.next_call;
        self.next_call = call.next();
        self.waiting.insert(call, waiting);
        out.push(Output::Call { call, to, lane, request });
        call
    }

    /// Adds entries to the log in memory and to this step's batch.
    pub(super) fn append_to_log(&mut self, entries: Vec<Entry>, out: &mut Vec<Output>) {
        self.log.append(&entries, self.durability.current());
        self.durability.append(&entries);
        let sets: Vec<Entry> =
            entries.iter().filter(|entry| carries_membership(entry.kind)).cloned().collect();
        out.push(Output::Event(Event::Appended(entries)));
        for entry in &sets {
            self.membership_appended(entry, out);
        }
    }

    /// Commits up to `index` and hands out what is new. A leader whom that removes steps down.
    pub(super) fn commit_to(&mut self, now: Instant, index: LogIndex, out: &mut Vec<Output>) {
        // Only a planted bug ever asks to go back; see `follower`.
        if index == self.commit_index {
            return;
        }
        self.commit_index = index;
        out.push(Output::Event(Event::CommitAdvanced(index)));
        if index <= self.emitted {
            return;
        }
        let fresh = self.log.slice(self.emitted.next(), index).to_vec();
        let mut committed = Vec::with_capacity(fresh.len());
        let mut removed = false;
        for entry in fresh {
            if carries_membership(entry.kind) {
                removed = self.membership_committed(now, &entry, removed, out);
            }
            let proposal = match &mut self.state {
                State::Leader(leadership) => leadership.take_proposal(entry.index),
                _ => None,
            };
            committed.push(Committed { entry, proposal });
        }
        if let Some(last) = committed.last() {
            self.emitted = last.entry.index;
            out.push(Output::Commit(committed));
        }
        if removed {
            self.become_follower(now, self.term(), None, StepDown::Removed, out);
        }
    }

    /// Answers a peer once `batch` (and the hard state) is durable.
    pub(super) fn reply_after(
        &mut self,
        batch: Option<PersistId>,
        token: crate::base::ReplyToken,
        response: Response,
        out: &mut Vec<Output>,
    ) {
        let hard_state_in = self.durability.hard_state_in();
        let batch = batch.map_or(hard_state_in, |batch| batch.max(hard_state_in));
        if let Some(Promise::Reply { token, response }) =
            self.durability.hold(batch, Promise::Reply { token, response })
        {
            out.push(Output::Reply { token, response });
        }
    }

    fn handle_reply(
        &mut self,
        now: Instant,
        call: CallId,
        result: Result<Response, CallError>,
        out: &mut Vec<Output>,
    ) {
        // An answer to a question of an earlier role.
        let Some(waiting) = self.waiting.remove(&call) else { return };
        // A server that was removed says nothing that counts, and a term as high as the asked one is no
        // news in the answer to a pre-vote.
        let newest = match waiting {
            Waiting::Farewell => return,
            Waiting::PreVote => self.term().next(),
            _ => self.term(),
        };
        let result = match result {
            Ok(Response::TimeoutNow) => Ok(Response::TimeoutNow),
            Ok(response) if term_of(&response) > newest => {
                let term = term_of(&response);
                self.become_follower(now, term, None, StepDown::NewerTerm, out);
                return;
            }
            // Whoever took the question has at least its term. This one did not take it: a voter
            // that has a leader, or a server whose disk failed.
            Ok(response) if term_of(&response) < self.term() => Err(CallError::Unreachable),
            result => result,
        };
        match (waiting, result) {
            (Waiting::Vote, Ok(Response::RequestVote(response))) => {
                self.count_vote(now, response, out);
            }
            (Waiting::Vote | Waiting::TimeoutNow | Waiting::Farewell, _) => {}
            (Waiting::PreVote, result) => self.pre_vote_answered(now, result, out),
            (Waiting::Heartbeat { peer, round }, result) => {
                let accepted = match result {
                    Ok(Response::AppendEntries(response)) => Some(response.success),
                    _ => None,
                };
                self.heartbeat_ended(now, peer, round, accepted, out);
            }
            (Waiting::Append { peer, last }, Ok(Response::AppendEntries(response))) => {
                self.append_answered(now, peer, call, last, response, out);
            }
            (Waiting::Append { peer, .. }, _) => self.append_failed(now, peer, call, out),
            (Waiting::Snapshot { peer, index }, result) => {
                let installed = match result {
                    Ok(Response::InstallSnapshot(response)) => Some(response.success),
                    _ => None,
                };
                self.snapshot_ended(now, peer, call, index, installed, out);
            }
        }
    }

    fn handle_persisted(&mut self, now: Instant, id: PersistId, out: &mut Vec<Output>) {
        if !self.durability.awaits(id) {
            return;
        }
        self.log.persisted(id);
        self.end_abstention(out);
        for promise in self.durability.persisted(id) {
            match promise {
                Promise::Reply { token, response } => out.push(Output::Reply { token, response }),
                Promise::Campaign(term) => self.own_vote_is_durable(now, term, out),
                Promise::Restored { id, index } => self.restored(now, id, index, out),
            }
        }
        self.advance_commit(now, out);
    }

    fn handle_disk_failure(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.become_follower(now, self.term(), None, StepDown::DiskFailed, out);
        for promise in self.durability.break_all() {
            if let Promise::Reply { token, response } = promise {
                let response = self.denied(response);
                out.push(Output::Reply { token, response });
            }
        }
        self.waiting.clear();
        self.disk_failed = true;
    }

    /// All that a core without a disk does, and what an impossible message gets: no.
    fn refuse(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Request { token, request } => {
                let response = match request {
                    Request::RequestVote(_) => self.vote_response(false),
                    Request::AppendEntries(_) => self.append_response(false, false),
                    Request::RequestPreVote(_) => {
                        let term = self.term();
                        Response::RequestPreVote(RequestPreVoteResponse { term, granted: false })
                    }
                    Request::InstallSnapshot(_) => self.install_response(false),
                    Request::TimeoutNow => Response::TimeoutNow,
                };
                out.push(Output::Reply { token, response });
            }
            Input::Propose(proposals) => {
                let refusal = Refusal::NotLeader;
                out.extend(proposals.iter().map(|one| Output::Refused { id: one.id, refusal }));
            }
            Input::Verify(id) => {
                out.push(Output::Verified { id, result: Err(Refusal::NotLeader) });
            }
            Input::Reply { call, .. } => {
                self.handle_reply(now, call, Err(CallError::Unreachable), out);
            }
            Input::ChangeConfiguration { id, .. } | Input::Restore { id, .. } => {
                out.push(Output::Refused { id, refusal: Refusal::NotLeader });
            }
            Input::TransferLeadership { id, .. } => {
                out.push(Output::Transferred { id, result: Err(Refusal::NotLeader) });
            }
            Input::Wake
            | Input::SetPeers(_)
            | Input::Bootstrap(_)
            | Input::Persisted(_)
            | Input::PersistFailed(_)
            | Input::SnapshotSaved(_)
            | Input::SnapshotFailed(_) => {}
        }
    }

    /// What an answer becomes whose promise cannot be kept.
    fn denied(&self, response: Response) -> Response {
        let term = self.term();
        match response {
            Response::RequestVote(_) => self.vote_response(false),
            Response::AppendEntries(_) => self.append_response(false, false),
            Response::RequestPreVote(_) => {
                Response::RequestPreVote(RequestPreVoteResponse { term, granted: false })
            }
            Response::InstallSnapshot(_) => self.install_response(false),
            Response::TimeoutNow => Response::TimeoutNow,
        }
    }

    fn handle_timers(&mut self, now: Instant, out: &mut Vec<Output>) {
        match self.state {
            State::Follower if self.timer <= now => self.heartbeat_timer_fired(now, out),
            State::Candidate(_) if self.timer <= now => self.election_timer_fired(now, out),
            State::Leader(_) => self.leader_timers(now, out),
            _ => {}
        }
        if self.snapshots.timer <= now {
            self.snapshot_timer_fired(now, out);
        }
    }
}

fn term_of(response: &Response) -> Term {
    match response {
        Response::AppendEntries(response) => response.term,
        Response::RequestVote(response) => response.term,
        Response::RequestPreVote(response) => response.term,
        Response::InstallSnapshot(response) => response.term,
        Response::TimeoutNow => Term(0),
    }
}

/// Whether a peer names a term that no cluster can have reached. To adopt it would leave no room for
/// the elections to come.
fn has_absurd_term(input: &Input) -> bool {
    let term = match input {
        Input::Request { request: Request::AppendEntries(request), .. } => request.term,
        Input::Request { request: Request::RequestVote(request), .. } => request.term,
        Input::Request { request: Request::RequestPreVote(request), .. } => request.term,
        Input::Request { request: Request::InstallSnapshot(request), .. } => request.term,
        Input::Reply { result: Ok(response), .. } => term_of(response),
        _ => return false,
    };
    term.0 > u64::MAX / 2
}
