//! The way of a request: routed, held, proposed, forwarded, and routed again.

use crate::base::{CallId, Duration, Instant, RequestId};
use crate::planted;
use crate::raft::{self, EntryKind, Proposal, Refusal};
use crate::state::{Change, CommandResult, Query};
use crate::wire;

use super::core::Agent;
use super::duties::is_own;
use super::event::Event;
use super::io::Output;
use super::leave::Leave;
use super::operator::{is_snapshot, only_reads};
use super::pending::{Pending, Waiting};
use super::types::{Failure, ReadMode, Reply, Request};

/// How long a quorum may take to confirm a leader where requests are not held. A leader without a quorum
/// gives up long before.
const QUORUM_PATIENCE: Duration = Duration::from_secs(7);

impl Agent {
    pub(super) fn on_ask(
        &mut self,
        now: Instant,
        id: RequestId,
        request: Request,
        out: &mut Vec<Output>,
    ) {
        let request = match &mut self.members {
            Some(members) => match members.ask(now, id, request, out) {
                Some(request) => request,
                None => return,
            },
            None => request,
        };
        let Some(request) = self.user_events.ask(now, id, request, out) else { return };
        let request = match (request, &mut self.local) {
            (Request::Local(what), Some(local)) => return local.ask(now, id, *what, out),
            (Request::Local(_), None) => {
                let text = "this agent keeps no services".to_owned();
                return out.push(Output::Answer(id, Err(Failure::Refused(text))));
            }
            (request, _) => request,
        };
        match request {
            Request::Leave => self.on_leave(now, id, out),
            Request::Keyring(operation) => self.begin_keyring(now, id, operation, out),
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
            Request::StatusRaftStats => {
                let reply = Reply::RaftStats(self.raft_stats(now));
                out.push(Output::Answer(id, Ok(reply)));
            }
            Request::CoordinateDatacenters => {
                let maps = Reply::DatacenterMaps(self.datacenter_maps());
                out.push(Output::Answer(id, Ok(maps)));
            }
            Request::AgentSelf => {
                let info = Box::new(self.self_info(now));
                out.push(Output::Answer(id, Ok(Reply::AgentSelf(info))));
            }
            request => {
                self.pending.insert(id, Pending::new(now, request));
                self.route(now, id, out);
            }
        }
    }

    /// Decides who serves a request (spec cluster 9.2, in its order) and sets it going.
    pub(super) fn route(&mut self, now: Instant, id: RequestId, out: &mut Vec<Output>) {
        let Some(pending) = self.pending.get(id) else { return };
        let request = pending.request.clone();
        match request {
            Request::Read { query, options } if self.may_serve_stale(options.mode) => {
                self.serve(now, id, &query, &options, out);
            }
            Request::Read { query, options } if self.raft.is_leader() => {
                if options.mode == ReadMode::Consistent {
                    self.verify(now, id, out);
                } else {
                    self.serve(now, id, &query, &options, out);
                }
            }
            Request::Write(mut command) if self.raft.is_leader() => {
                if let Err(result) = self.admit(now, &mut command, out) {
                    self.answer(id, Ok(Reply::Written(result)), out);
                    return;
                }
                self.pending.wait(id, Waiting::Commit);
                let data = wire::command::encode(&command, &self.config.datacenter);
                let proposal = Proposal { id, kind: EntryKind::Command, data };
                self.raft_step(now, raft::Input::Propose(vec![proposal]), out);
                // Oracle: durability. A leader that is cut off acknowledges what is lost with it.
                if planted!(self.faults, "ack-before-commit") {
                    self.answer(id, Ok(Reply::Written(CommandResult::Flag(true))), out);
                }
            }
            Request::Read { .. } | Request::Write(_) => {
                self.forward_or_hold(now, id, out);
            }
            request => self.route_operator(now, id, request, out),
        }
    }

    /// Lets a quorum confirm that this server leads, before a request is answered.
    pub(super) fn verify(&mut self, now: Instant, id: RequestId, out: &mut Vec<Output>) {
        // Nobody is held for a leader under `legacy`, but a quorum takes its time there too.
        let hold = self.config.rpc_hold_timeout;
        let until = now + if hold.is_zero() { QUORUM_PATIENCE } else { hold };
        self.pending.wait(id, Waiting::Quorum { until });
        self.raft_step(now, raft::Input::Verify(id), out);
    }

    pub(super) fn may_serve_stale(&self, mode: ReadMode) -> bool {
        // Oracle: linearizable. A follower answers from its own state what only a leader may.
        let takes_for_stale =
            planted!(self.faults, "stale-default-read") && mode == ReadMode::Default;
        (mode == ReadMode::Stale || takes_for_stale)
            && (self.raft.is_leader() || self.raft.last_contact().is_some())
    }

    pub(super) fn forward_or_hold(&mut self, now: Instant, id: RequestId, out: &mut Vec<Output>) {
        let leader = self.raft.leader().filter(|leader| **leader != self.config.raft.address);
        let Some(to) = leader.cloned() else {
            self.hold(now, id, Failure::NoLeader, out);
            return;
        };
        let Some(request) = self.pending.get(id).map(|pending| pending.remaining(now)) else {
            return;
        };
        let call = self.pending.forward(id, to.clone());
        if !is_own(id) {
            out.push(Output::Event(Event::Forwarded { to: to.clone() }));
        }
        out.push(Output::Forward { call, to, request });
    }

    /// Lets a request wait for a leader, or refuses it with `otherwise` once it has waited enough.
    pub(super) fn hold(
        &mut self,
        now: Instant,
        id: RequestId,
        otherwise: Failure,
        out: &mut Vec<Output>,
    ) {
        // Own requests are never held, and what is being drained knows no leader any more.
        let refuses = is_own(id) || self.leave.as_ref().is_some_and(Leave::is_draining);
        if refuses || !self.pending.hold(now, id, self.config.rpc_hold_timeout, &mut self.prng) {
            self.answer(id, Err(otherwise), out);
        }
    }

    pub(super) fn answer(
        &mut self,
        id: RequestId,
        result: Result<Reply, Failure>,
        out: &mut Vec<Output>,
    ) {
        // A request that its asker forgot has no entry any more; its answer goes nowhere.
        if self.pending.remove(id) {
            let result = self.user_events.answered(id, result);
            let users = self.duties.end(id, result);
            out.extend(users.map(|result| Output::Answer(id, result)));
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
            other => self.answer(id, Err(Failure::Raft(other)), out),
        }
    }

    pub(super) fn on_forwarded(
        &mut self,
        now: Instant,
        call: CallId,
        result: Result<Reply, Failure>,
        out: &mut Vec<Output>,
    ) {
        if self.on_peers_reported(now, call, &result, out)
            || self.on_stats_reported(now, call, &result, out)
        {
            return;
        }
        let Some(id) = self.pending.of_call(call) else { return };
        let Some(pending) = self.pending.get(id) else { return };
        let (reads, streamed) = (only_reads(&pending.request), is_snapshot(&pending.request));
        // Oracle: linearizable. The write may have been applied already, and is applied again.
        let may_repeat = reads || planted!(self.faults, "forward-retries-write");
        match result {
            // Refused before the log, or never sent: safe to try again, for writes too.
            Err(failure @ (Failure::NoLeader | Failure::NotLeader | Failure::NotSent(_))) => {
                self.hold(now, id, failure, out)
            }
            // The connection broke: only a read may be sent again.
            Err(failure @ Failure::Rpc(_)) if may_repeat => self.hold(now, id, failure, out),
            Err(failure) => {
                self.answer(id, Err(failure.heard_elsewhere(streamed)), out);
            }
            Ok(reply) => self.answer(id, Ok(reply), out),
        }
    }

    /// A leader is known, or lost, or it is ourselves: whatever waits for one is routed again. So are
    /// reads that only a leader may answer and that wait at one that no longer leads.
    pub(super) fn on_leader_changed(&mut self, now: Instant, out: &mut Vec<Output>) {
        let leader = self.raft.leader();
        let leads = self.raft.is_leader();
        let again = self.pending.select(|pending| match &pending.waiting {
            Waiting::Leader { .. } => leader.is_some(),
            Waiting::Change { .. } => !leads && !is_stale(&pending.request),
            Waiting::Forwarded { to, .. } => {
                only_reads(&pending.request) && leader.is_some_and(|leader| leader != to)
            }
            Waiting::Route | Waiting::Commit | Waiting::Transfer | Waiting::Quorum { .. } => false,
        });
        for id in again {
            self.route(now, id, out);
        }
    }

    /// Re-evaluates the blocked queries that these changes touch.
    pub(super) fn wake_blocked(&mut self, now: Instant, changes: &[Change], out: &mut Vec<Output>) {
        if changes.is_empty() {
            return;
        }
        let touched = self.pending.select(|pending| match (&pending.waiting, &pending.request) {
            // Oracle of the plant: watch-complete. Who waits for a prefix sleeps until its time is over.
            (Waiting::Change { .. }, Request::Read { query: Query::KvList { .. }, .. })
                if planted!(self.faults, "prefix-watchers-sleep") =>
            {
                false
            }
            (Waiting::Change { .. }, Request::Read { query, .. }) => {
                changes.iter().any(|change| query.is_touched_by(change))
            }
            _ => false,
        });
        for id in touched {
            self.route(now, id, out);
        }
    }

    pub(super) fn on_deadlines(&mut self, now: Instant, out: &mut Vec<Output>) {
        for id in self.pending.due(now) {
            match self.pending.get(id).map(|pending| &pending.waiting) {
                // It has waited long enough for a quorum: the leader is not ready.
                Some(Waiting::Quorum { until }) if *until <= now => {
                    self.answer(id, Err(Failure::NotReady), out);
                }
                // Routing one request can change what another waits for.
                Some(Waiting::Leader { retry_at: at } | Waiting::Change { until: at })
                    if *at <= now =>
                {
                    self.route(now, id, out);
                }
                _ => {}
            }
        }
    }

    pub(super) fn on_stop(&mut self, out: &mut Vec<Output>) {
        for id in self.pending.select(|_| true) {
            self.answer(id, Err(Failure::ShuttingDown), out);
        }
        self.user_events.stop(out);
        if let Some(local) = &mut self.local {
            local.stop(out);
        }
        self.keyring.stop(out);
    }
}

fn is_stale(request: &Request) -> bool {
    matches!(request, Request::Read { options, .. } if options.mode == ReadMode::Stale)
}
