//! What operators ask: the set of servers and its changes, leadership, snapshots; and what Raft says of
//! snapshots.
//!
//! ```text
//!   RaftConfiguration   leader, or with stale whoever is asked: answered at once
//!   AutopilotHealth     leader: what its autopilot last saw, answered at once
//!   RemoveRaftPeer      leader: looked up, then a change of the configuration, answered when committed
//!   TransferLeadership  leader: handed to Raft, answered when it has ended
//!   SnapshotSave        leader: confirmed by a quorum as a consistent read; with stale at once
//!   SnapshotRestore     leader: handed to Raft, answered when the Noop after it is committed
//! ```
//!
//! All others are forwarded or held like reads and writes. Those that only read may be sent again
//! when a connection broke; the three that change something may not, as their outcome is unknown then.
//!
//! Only committed entries are in a snapshot: it is taken between two of them, from a state that is an
//! O(1) copy, and stands for the last one that was applied.

use crate::base::{Instant, LogIndex, RequestId, Term};
use crate::planted;
use crate::raft::{self, Change, ChangeCommand, Refusal, SnapshotMeta, SnapshotSource};

use super::core::Agent;
use super::event::Event;
use super::io::Output;
use super::lock_delays::LockDelays;
use super::pending::{Pending, Waiting};
use super::types::{Failure, PeerName, RaftServer, ReadMode, Reply, Request, StateImage};

/// The version of the Raft protocol, as Consul's tags spell it.
const RAFT_PROTOCOL: &str = "3";

impl Agent {
    /// Serves an operator's request here, or passes it on.
    pub(super) fn route_operator(
        &mut self,
        now: Instant,
        id: RequestId,
        request: Request,
        out: &mut Vec<Output>,
    ) {
        let leads = self.raft.is_leader();
        match request {
            // As real servers show: one that is cut off and never heard a leader tells what it knows.
            Request::RaftConfiguration { stale } if leads || stale => {
                let reply = self.raft_configuration();
                self.answer(id, Ok(reply), out);
            }
            // Consul asks for no contact with a leader here: a server that is cut off can be saved.
            Request::SnapshotSave { stale: true } => self.serve_snapshot(now, id, out),
            // A deposed leader must not take a state in: nobody else would have it.
            Request::SnapshotSave { stale: false } | Request::SnapshotRestore(_) if leads => {
                self.verify(now, id, out);
            }
            Request::EventFire { name, payload } if self.may_serve_stale(ReadMode::Stale) => {
                self.fire_user_event(now, id, &name, payload, out);
            }
            Request::AutopilotHealth if leads => {
                let report = self.health_report(now);
                self.answer(id, Ok(Reply::AutopilotHealth(report)), out);
            }
            Request::CoordinateUpdate(told) if leads => {
                self.take_coordinate(now, id, *told, out);
            }
            Request::SessionRenew { id: session } if leads => {
                self.renew_session(now, id, &session, out);
            }
            Request::RemoveRaftPeer(name) if leads => self.remove_peer(now, id, &name, out),
            Request::TransferLeadership { to } if leads => {
                self.pending.wait(id, Waiting::Transfer);
                self.raft_step(now, raft::Input::TransferLeadership { id, to }, out);
            }
            _ => self.forward_or_hold(now, id, out),
        }
    }

    /// Gives Raft an operator's state; a quorum has confirmed that this server leads.
    pub(super) fn restore(
        &mut self,
        now: Instant,
        id: RequestId,
        image: StateImage,
        out: &mut Vec<Output>,
    ) {
        self.pending.wait(id, Waiting::Commit);
        let index = image.0.applied();
        self.images.give(id, image);
        self.raft_step(now, raft::Input::Restore { id, index }, out);
    }

    fn raft_configuration(&self) -> Reply {
        let leader = self.raft.leader();
        let server = |server: &raft::Server| {
            let known =
                self.members.as_ref().and_then(|members| members.directory.at(&server.address));
            let (node, version) = match known {
                _ if server.id == self.config.raft.id => {
                    (self.config.node_name.as_str(), RAFT_PROTOCOL.to_owned())
                }
                Some(known) => (known.name.as_str(), known.raft_version.to_string()),
                None => ("(unknown)", "unknown".to_owned()),
            };
            RaftServer {
                id: server.id.clone(),
                node: node.to_owned(),
                address: server.address.clone(),
                leader: leader == Some(&server.address),
                protocol_version: version,
                voter: server.suffrage == raft::Suffrage::Voter,
            }
        };
        let servers = self.raft.configuration().servers.iter().map(server).collect();
        Reply::RaftConfiguration { servers, index: self.raft.configuration_index() }
    }

    /// Changes the set of servers for this server itself; ends as its duty.
    pub(super) fn change_servers(
        &mut self,
        now: Instant,
        id: RequestId,
        change: Change,
        out: &mut Vec<Output>,
    ) {
        self.pending.insert(id, Pending::new(now, Request::StatusPeers));
        self.pending.wait(id, Waiting::Commit);
        self.raft_step(now, raft::Input::ChangeConfiguration { id, change }, out);
    }

    /// Humans remove peers, and mistype: what is not in the configuration is refused (as Consul does).
    fn remove_peer(&mut self, now: Instant, id: RequestId, name: &PeerName, out: &mut Vec<Output>) {
        let servers = &self.raft.configuration().servers;
        let found = servers.iter().find(|server| match name {
            PeerName::Id(id) => server.id == *id,
            PeerName::Address(address) => server.address == *address,
        });
        let Some(server) = found else {
            let (kind, text) = match name {
                PeerName::Id(id) => ("id", id.as_str()),
                PeerName::Address(address) => ("address", address.as_str()),
            };
            let text = format!("{kind} {text:?} was not found in the Raft configuration");
            self.answer(id, Err(Failure::Refused(text)), out);
            return;
        };
        let change = Change {
            command: ChangeCommand::RemoveServer,
            id: server.id.clone(),
            address: server.address.clone(),
            prev_index: LogIndex(0),
        };
        self.pending.wait(id, Waiting::Commit);
        self.raft_step(now, raft::Input::ChangeConfiguration { id, change }, out);
    }

    pub(super) fn on_transferred(
        &mut self,
        now: Instant,
        id: RequestId,
        result: Result<(), Refusal>,
        out: &mut Vec<Output>,
    ) {
        match result {
            Ok(()) => self.answer(id, Ok(Reply::Done), out),
            Err(refusal) => self.on_refused(now, id, refusal, out),
        }
    }

    /// Answers with the state as it is now.
    pub(super) fn serve_snapshot(&mut self, now: Instant, id: RequestId, out: &mut Vec<Output>) {
        let (configuration, configuration_index) = self.raft.committed_configuration();
        let snapshot = SnapshotMeta {
            index: self.applied,
            term: self.applied_term,
            configuration,
            configuration_index,
            size: 0,
        };
        let meta = self.read_meta(now, self.applied.0);
        let state = self.image();
        self.answer(id, Ok(Reply::Snapshot { snapshot, state, meta }), out);
    }

    /// A copy of the state, which stands for all that is applied and not only for the last command.
    fn image(&self) -> StateImage {
        let mut state = self.state.clone();
        state.advance_to(self.applied);
        StateImage(Box::new(state))
    }

    pub(super) fn take_snapshot(&self, meta: SnapshotMeta, out: &mut Vec<Output>) {
        crate::invariant!(
            meta.index == self.applied || planted!(self.faults, "snapshot-ahead-of-state"),
            "a snapshot at {} is wanted with {} applied",
            meta.index,
            self.applied
        );
        let state = self.image();
        let begun = Event::SnapshotBegun { meta: meta.clone(), state: state.clone() };
        out.push(Output::Event(begun));
        out.push(Output::SaveSnapshot(meta, state));
    }

    /// The state machine is this snapshot's. Whoever waits for a change of the old one is answered from
    /// the new one, whatever its index (spec cluster 9.4).
    pub(super) fn on_installed(
        &mut self,
        now: Instant,
        meta: &SnapshotMeta,
        source: SnapshotSource,
        out: &mut Vec<Output>,
    ) {
        let image = self.images.install(source);
        crate::invariant!(image.is_some(), "{source:?} is installed, and its state is not here");
        let Some(StateImage(state)) = image else { return };
        crate::invariant!(
            meta.index >= self.applied || planted!(self.faults, "install-older-snapshot"),
            "a snapshot at {} is installed with {} applied",
            meta.index,
            self.applied
        );
        self.state = *state;
        self.state.advance_to(meta.index);
        self.lock_delays = LockDelays::default();
        if self.established {
            self.begin_sessions(now);
        }
        self.note_applied(meta.index, meta.term);
        self.last_snapshot = (meta.index, meta.term);
        let operator = matches!(source, SnapshotSource::Operator(_));
        let (meta, state) = (meta.clone(), self.image());
        out.push(Output::Event(Event::StateReplaced { meta, operator, state }));
        for id in self.pending.select(|pending| matches!(pending.waiting, Waiting::Change { .. })) {
            self.pending.unblock(now, id);
            self.route(now, id, out);
        }
    }

    pub(super) fn note_applied(&mut self, index: LogIndex, term: Term) {
        (self.applied, self.applied_term) = (index, term);
    }
}

/// Whether a request changes nothing, so that it may be sent again when a connection broke. To renew a
/// session twice is to renew it.
pub(super) fn only_reads(request: &Request) -> bool {
    matches!(
        request,
        Request::Read { .. }
            | Request::RaftConfiguration { .. }
            | Request::AutopilotHealth
            | Request::CoordinateDatacenters
            | Request::SnapshotSave { .. }
            | Request::SessionRenew { .. }
    )
}

/// Whether a request travels on the stream for snapshots, where errors are plain texts.
pub(super) fn is_snapshot(request: &Request) -> bool {
    matches!(request, Request::SnapshotSave { .. } | Request::SnapshotRestore(_))
}
