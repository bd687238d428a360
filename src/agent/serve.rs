//! Reads: confirmed, answered from this node's state, or blocked.

use crate::base::{Duration, Instant, LogIndex, RequestId};
use crate::planted;
use crate::raft::{Refusal, Role};
use crate::state::{Query, Rows};

use super::core::Agent;
use super::event::Event;
use super::io::Output;
use super::pending::{Pending, Waiting};
use super::types::{Failure, RaftInfo, ReadMeta, ReadOptions, Reply, Request, SelfInfo};

impl Agent {
    /// Answers a read from this node's state, or blocks it.
    pub(super) fn serve(
        &mut self,
        now: Instant,
        id: RequestId,
        query: &Query,
        options: &ReadOptions,
        out: &mut Vec<Output>,
    ) {
        let mut answer = self.state.query(query);
        if let Rows::Refused(text) = answer.rows {
            self.answer(id, Err(Failure::Refused(text)), out);
            return;
        }
        // Oracle: index-monotonic. What is not there has no index of its own.
        if planted!(self.faults, "absence-forgets-its-index") && answer.rows.is_empty() {
            answer.index = 0;
        }
        let block_until = self.pending.get(id).and_then(|pending| pending.block_until);
        if let Some(until) = block_until
            && answer.index <= options.min_index
            && now < until
        {
            self.pending.wait(id, Waiting::Change { until });
            return;
        }
        answer.index = answer.index.max(1);
        self.arrange(query, &mut answer.rows);
        out.push(Output::Event(Event::Served {
            mode: options.mode,
            key: query.key().to_owned(),
            index: answer.index,
            applied: self.applied,
            term: self.raft.term(),
            leads: self.raft.is_leader(),
        }));
        let meta = self.read_meta(now, answer.index);
        self.answer(id, Ok(Reply::Read { answer, meta }), out);
    }

    pub(super) fn read_meta(&self, now: Instant, index: u64) -> ReadMeta {
        ReadMeta {
            index,
            known_leader: self.raft.leader().is_some(),
            last_contact: self.leader_silence(now).unwrap_or(Duration::ZERO),
        }
    }

    pub(super) fn leader_silence(&self, now: Instant) -> Option<Duration> {
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
        let Some(Pending { request, .. }) = self.pending.get(id).cloned() else { return };
        match result {
            Ok(read_index) => {
                // Raft hands entries over before it confirms, so all of them are applied by now.
                crate::invariant!(
                    self.applied >= read_index,
                    "a read at {read_index} was confirmed with {} applied",
                    self.applied
                );
                match request {
                    Request::Read { query, options } => {
                        self.serve(now, id, &query, &options, out);
                    }
                    Request::SnapshotSave { .. } => self.serve_snapshot(now, id, out),
                    Request::SnapshotRestore(image) => self.restore(now, id, image, out),
                    _ => {}
                }
            }
            Err(_) => self.hold(now, id, Failure::NotLeader, out),
        }
    }

    pub(super) fn self_info(&self, now: Instant) -> SelfInfo {
        let raft = RaftInfo {
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
            num_peers: self.raft.num_peers(),
            last_contact: self.leader_silence(now),
            leader: self.raft.leader().cloned(),
            last_snapshot: self.last_snapshot,
            latest_configuration: self.raft.configuration().clone(),
            latest_configuration_index: self.raft.configuration_index(),
        };
        SelfInfo { raft: Some(raft), ..SelfInfo::of_pools(self.members.as_ref()) }
    }
}
