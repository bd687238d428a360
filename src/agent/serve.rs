//! The life of a request: routed, held, proposed, verified, forwarded, blocked, answered.

use crate::base::{CallId, Duration, Instant, LogIndex, RequestId};
use crate::planted;
use crate::raft::{self, EntryKind, Proposal, Refusal, Role};
use crate::state::{Change, CommandResult, Query};
use crate::wire;

use super::core::{Agent, Output, Pending, Waiting};
use super::event::Event;
use super::hold::Hold;
use super::types::{Failure, ReadMeta, ReadMode, ReadOptions, Reply, Request, SelfInfo};

impl Agent {
    pub(super) fn on_ask(
        &mut self,
        now: Instant,
        id: RequestId,
        request: Request,
        out: &mut Vec<Output>,
    ) {
        match request {
            Request::StatusLeader => {
                // Oracle: script. Nobody notices but whoever asks and expects an answer.
                let silent = planted!(self.faults, "status-names-nobody");
                let leader = self.raft.leader().filter(|_| !silent).cloned();
                out.push(Output::Answer(id, Ok(Reply::Leader(leader))));
            }
            Request::StatusPeers => {
                let servers = &self.raft.configuration().servers;
                let peers = servers.iter().map(|server| server.address.clone()).collect();
                out.push(Output::Answer(id, Ok(Reply::Peers(peers))));
            }
            Request::AgentSelf => {
                let info = Box::new(self.self_info(now));
                out.push(Output::Answer(id, Ok(Reply::AgentSelf(info))));
            }
            Request::Write(_) | Request::Read { .. } => {
                let block_until = match &request {
                    Request::Read { options, .. } if options.min_index > 0 => {
                        Some(now + options.max_wait)
                    }
                    _ => None,
                };
                let pending = Pending {
                    request,
                    since: now,
                    block_until,
                    hold: Hold::default(),
                    waiting: Waiting::Commit,
                };
                self.pending.insert(id, pending);
                self.route(now, id, out);
            }
        }
    }

    /// Decides who serves a request (spec cluster 9.2, in its order) and sets it going.
    fn route(&mut self, now: Instant, id: RequestId, out: &mut Vec<Output>) {
        let Some(pending) = self.pending.get(&id) else { return };
        let request = pending.request.clone();
        match request {
            Request::Read { query, options } if self.may_serve_stale(options.mode) => {
                self.serve(now, id, &query, &options, out);
            }
            Request::Read { query, options } if self.raft.is_leader() => {
                if options.mode == ReadMode::Consistent {
                    let until = now + self.config.rpc_hold_timeout;
                    self.wait(id, Waiting::Quorum { until });
                    self.raft_step(now, raft::Input::Verify(id), out);
                } else {
                    self.serve(now, id, &query, &options, out);
                }
            }
            Request::Write(command) if self.raft.is_leader() => {
                self.wait(id, Waiting::Commit);
                let data = wire::command::encode(&command, &self.config.datacenter);
                let proposal = Proposal { id, kind: EntryKind::Command, data };
                self.raft_step(now, raft::Input::Propose(vec![proposal]), out);
                // Oracle: durability. A leader that is cut off acknowledges what is lost with it.
                if planted!(self.faults, "ack-before-commit") {
                    self.answer(id, Ok(Reply::Written(CommandResult::Flag(true))), out);
                }
            }
            request => self.forward_or_hold(now, id, request, out),
        }
    }

    fn may_serve_stale(&self, mode: ReadMode) -> bool {
        // Oracle: linearizable. A follower answers from its own state what only a leader may.
        let takes_for_stale =
            planted!(self.faults, "stale-default-read") && mode == ReadMode::Default;
        (mode == ReadMode::Stale || takes_for_stale)
            && (self.raft.is_leader() || self.raft.last_contact().is_some())
    }

    fn forward_or_hold(
        &mut self,
        now: Instant,
        id: RequestId,
        request: Request,
        out: &mut Vec<Output>,
    ) {
        let leader = self.raft.leader().filter(|leader| **leader != self.config.raft.address);
        let Some(to) = leader.cloned() else {
            self.hold(now, id, Failure::NoLeader, out);
            return;
        };
        let call = self.next_forward;
        self.next_forward = CallId(call.0 + 1);
        self.forwards.insert(call, id);
        self.wait(id, Waiting::Forwarded(call));
        out.push(Output::Event(Event::Forwarded { to: to.clone() }));
        let request = self.remaining_wait(now, id, request);
        out.push(Output::Forward { call, to, request });
    }

    /// A blocking query that is routed again waits for what is left of its time.
    fn remaining_wait(&self, now: Instant, id: RequestId, mut request: Request) -> Request {
        if let (Request::Read { options, .. }, Some(until)) =
            (&mut request, self.pending.get(&id).and_then(|pending| pending.block_until))
        {
            options.max_wait = until.since(now);
            if options.max_wait.is_zero() {
                options.min_index = 0;
            }
        }
        request
    }

    /// Lets a request wait for a leader, or refuses it with `otherwise` once it has waited enough.
    fn hold(&mut self, now: Instant, id: RequestId, otherwise: Failure, out: &mut Vec<Output>) {
        let limit = self.config.rpc_hold_timeout;
        let Some(pending) = self.pending.get_mut(&id) else { return };
        match pending.hold.next_try(now, pending.since, limit, &mut self.prng) {
            Some(retry_at) => pending.waiting = Waiting::Leader { retry_at },
            None => self.answer(id, Err(otherwise), out),
        }
    }

    fn wait(&mut self, id: RequestId, waiting: Waiting) {
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.waiting = waiting;
        }
    }

    pub(super) fn answer(
        &mut self,
        id: RequestId,
        result: Result<Reply, Failure>,
        out: &mut Vec<Output>,
    ) {
        // A request that its asker forgot has no entry any more; its answer goes nowhere.
        if self.pending.remove(&id).is_some() {
            out.push(Output::Answer(id, result));
        }
    }

    /// Answers a read from this node's state, or blocks it.
    fn serve(
        &mut self,
        now: Instant,
        id: RequestId,
        query: &Query,
        options: &ReadOptions,
        out: &mut Vec<Output>,
    ) {
        let mut answer = self.state.query(query);
        let block_until = self.pending.get(&id).and_then(|pending| pending.block_until);
        if let Some(until) = block_until
            && answer.index <= options.min_index
            && now < until
        {
            self.wait(id, Waiting::Change { until });
            return;
        }
        answer.index = answer.index.max(1);
        out.push(Output::Event(Event::Served {
            mode: options.mode,
            key: query.key().to_owned(),
            index: answer.index,
            applied: self.applied,
            term: self.raft.term(),
            leads: self.raft.is_leader(),
        }));
        let meta = ReadMeta {
            index: answer.index,
            known_leader: self.raft.leader().is_some(),
            last_contact: self.leader_silence(now).unwrap_or(Duration::ZERO),
        };
        self.answer(id, Ok(Reply::Read { answer, meta }), out);
    }

    fn leader_silence(&self, now: Instant) -> Option<Duration> {
        if self.raft.is_leader() {
            return Some(Duration::ZERO);
        }
        self.raft.last_contact().map(|contact| now.since(contact))
    }

    pub(super) fn on_verified(
        &mut self,
        now: Instant,
        id: RequestId,
        result: Result<LogIndex, Refusal>,
        out: &mut Vec<Output>,
    ) {
        let Some(Pending { request: Request::Read { query, options }, .. }) =
            self.pending.get(&id).cloned()
        else {
            return;
        };
        match result {
            Ok(read_index) => {
                // Raft hands entries over before it confirms, so all of them are applied by now.
                crate::invariant!(
                    self.applied >= read_index,
                    "a read at {read_index} was confirmed with {} applied",
                    self.applied
                );
                self.serve(now, id, &query, &options, out);
            }
            Err(_) => self.hold(now, id, Failure::NotLeader, out),
        }
    }

    pub(super) fn on_refused(
        &mut self,
        now: Instant,
        id: RequestId,
        refusal: Refusal,
        out: &mut Vec<Output>,
    ) {
        match refusal {
            // Never appended: as if it had found no leader.
            Refusal::NotLeader => self.hold(now, id, Failure::NotLeader, out),
            Refusal::LeadershipLost => self.answer(id, Err(Failure::LeadershipLost), out),
        }
    }

    pub(super) fn on_forwarded(
        &mut self,
        now: Instant,
        call: CallId,
        result: Result<Reply, Failure>,
        out: &mut Vec<Output>,
    ) {
        let Some(id) = self.forwards.remove(&call) else { return };
        let Some(pending) = self.pending.get(&id) else { return };
        let is_read = matches!(pending.request, Request::Read { .. });
        // Oracle: linearizable. The write may have been applied already, and is applied again.
        let may_repeat = is_read || planted!(self.faults, "forward-retries-write");
        match result {
            // Refused before the log: safe to try again, for writes too.
            Err(failure @ (Failure::NoLeader | Failure::NotLeader)) => {
                self.hold(now, id, failure, out);
            }
            // The connection broke: only a read may be sent again.
            Err(failure @ Failure::Rpc(_)) if may_repeat => self.hold(now, id, failure, out),
            Err(failure) => {
                let failure = match failure {
                    Failure::Rpc(_) | Failure::ShuttingDown => failure,
                    other => Failure::Remote(other.to_string()),
                };
                self.answer(id, Err(failure), out);
            }
            Ok(reply) => self.answer(id, Ok(reply), out),
        }
    }

    /// A leader is known, or lost, or it is ourselves: whatever waits for one is routed again. So are
    /// blocked reads that only a leader may answer.
    pub(super) fn on_leader_changed(&mut self, now: Instant, out: &mut Vec<Output>) {
        let known = self.raft.leader().is_some();
        let again: Vec<RequestId> = self
            .pending
            .iter()
            .filter(|(_, pending)| match pending.waiting {
                Waiting::Leader { .. } => known,
                Waiting::Change { .. } => !self.raft.is_leader() && !is_stale(&pending.request),
                _ => false,
            })
            .map(|(id, _)| *id)
            .collect();
        for id in again {
            self.route(now, id, out);
        }
    }

    /// Re-evaluates the blocked queries that these changes touch.
    pub(super) fn wake_blocked(&mut self, now: Instant, changes: &[Change], out: &mut Vec<Output>) {
        if changes.is_empty() {
            return;
        }
        let touched: Vec<RequestId> = self
            .pending
            .iter()
            .filter(|(_, pending)| matches!(pending.waiting, Waiting::Change { .. }))
            .filter(|(_, pending)| match &pending.request {
                Request::Read { query, .. } => {
                    changes.iter().any(|change| query.is_touched_by(change))
                }
                _ => false,
            })
            .map(|(id, _)| *id)
            .collect();
        for id in touched {
            self.route(now, id, out);
        }
    }

    pub(super) fn on_deadlines(&mut self, now: Instant, out: &mut Vec<Output>) {
        let due: Vec<(RequestId, Waiting)> = self
            .pending
            .iter()
            .filter(|(_, pending)| match pending.waiting {
                Waiting::Leader { retry_at } => retry_at <= now,
                Waiting::Quorum { until } | Waiting::Change { until } => until <= now,
                Waiting::Commit | Waiting::Forwarded(_) => false,
            })
            .map(|(id, pending)| (*id, pending.waiting.clone()))
            .collect();
        for (id, waiting) in due {
            match waiting {
                // It has waited long enough for a quorum: the leader is not ready.
                Waiting::Quorum { .. } => self.answer(id, Err(Failure::NotReady), out),
                _ => self.route(now, id, out),
            }
        }
    }

    pub(super) fn on_forget(&mut self, id: RequestId) {
        if let Some(pending) = self.pending.remove(&id)
            && let Waiting::Forwarded(call) = pending.waiting
        {
            self.forwards.remove(&call);
        }
    }

    pub(super) fn on_stop(&mut self, out: &mut Vec<Output>) {
        let ids: Vec<RequestId> = self.pending.keys().copied().collect();
        self.forwards.clear();
        for id in ids {
            self.answer(id, Err(Failure::ShuttingDown), out);
        }
    }

    fn self_info(&self, now: Instant) -> SelfInfo {
        SelfInfo {
            raft_state: match self.raft.role() {
                Role::Follower => "Follower",
                Role::Candidate => "Candidate",
                Role::Leader => "Leader",
            },
            term: self.raft.term(),
            last_log_index: self.raft.last_index(),
            last_log_term: self.raft.last_term(),
            commit_index: self.raft.commit_index(),
            applied_index: self.applied,
            num_peers: self.raft.configuration().servers.len().saturating_sub(1),
            last_contact: self.leader_silence(now),
            leader: self.raft.leader().cloned(),
        }
    }
}

fn is_stale(request: &Request) -> bool {
    matches!(request, Request::Read { options, .. } if options.mode == ReadMode::Stale)
}
