//! Exchanges of whole states over a stream: a join, and now and then (spec cluster 1.6, 1.17, 1.18).
//!
//! ```text
//!   initiator   its state ──────────────────────► answerer   answers first, merges then
//!               merges   ◄────────────────────── its state
//! ```
//!
//! A merge is refused whole when a version does not fit, or, in a join, when the delegate says so;
//! otherwise it is the rules of [`rules`](super::rules), member by member. Nobody is killed on
//! hearsay: who is dead there is only suspected here, and so may contradict.
//!
//! Joining several addresses goes one after the other; each failure is one text of the report, and the
//! next is tried. Not here: the bound on exchanges at once (128), which is the caller's, because here
//! each ends in the step that brings it.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::base::{NodeName, RequestId};
use crate::gossip::io::{ExchangeId, JoinReport};
use crate::gossip::message::{Accusation, Alive, MemberState, NodeState, PushPull, Versions};
use crate::gossip::swim::core::{Purpose, Swim, Turn};
use crate::gossip::swim::types::{Node, Output};
use crate::planted;

impl Swim {
    /// Goes on with a join: the next address, or its end.
    pub(super) fn join(
        &mut self,
        request: RequestId,
        mut rest: VecDeque<SocketAddr>,
        report: JoinReport,
        turn: &mut Turn<'_>,
    ) {
        let Some(at) = rest.pop_front() else {
            turn.out.push(Output::Joined { request, report });
            return;
        };
        self.begin_exchange(at, Purpose::Join { request, at, rest, report }, true, turn);
    }

    /// The periodic exchange, with a random living member.
    pub(super) fn begin_push_pull(&mut self, turn: &mut Turn<'_>) {
        let own = &self.config.name;
        let found = self.roster.choose(1, &mut self.streams.push_pull, |node| {
            node.state == MemberState::Alive && node.name != *own
        });
        for node in found {
            self.begin_exchange(node.addr, Purpose::Periodic(node.name), false, turn);
        }
    }

    fn begin_exchange(
        &mut self,
        to: SocketAddr,
        purpose: Purpose,
        join: bool,
        turn: &mut Turn<'_>,
    ) {
        let exchange = self.next_exchange();
        self.exchanges.insert(exchange, purpose);
        let state = self.local_state(join, turn);
        turn.out.push(Output::PushPull { exchange, to, state });
    }

    /// All that we know.
    fn local_state(&self, join: bool, turn: &Turn<'_>) -> PushPull {
        let told = |node: &Node| NodeState {
            node: node.name.clone(),
            addr: node.addr.ip(),
            port: node.addr.port(),
            meta: node.meta.clone(),
            incarnation: node.incarnation,
            state: node.state,
            versions: node.versions,
        };
        let nodes = self.roster.nodes().map(told).collect();
        PushPull { join, nodes, user: Some(turn.delegate.local_state(join)) }
    }

    /// Somebody began an exchange.
    pub(super) fn answer_push_pull(
        &mut self,
        exchange: ExchangeId,
        from: SocketAddr,
        remote: PushPull,
        turn: &mut Turn<'_>,
    ) {
        let join = remote.join;
        let state = self.local_state(join, turn);
        turn.out.push(Output::PushPullReply { exchange, state });
        if let Err(why) = self.merge(join, remote, turn) {
            turn.warn(format!("Failed push/pull merge: {why} from={from}"));
        }
    }

    /// Ours has ended.
    pub(super) fn push_pulled(
        &mut self,
        exchange: ExchangeId,
        result: Result<PushPull, String>,
        turn: &mut Turn<'_>,
    ) {
        let Some(purpose) = self.exchanges.remove(&exchange) else { return };
        let join = matches!(purpose, Purpose::Join { .. });
        let result = result.and_then(|remote| self.merge(join, remote, turn));
        match purpose {
            Purpose::Join { request, at, rest, mut report } => {
                match result {
                    Ok(()) => report.contacted += 1,
                    Err(why) => report.errors.push(format!("Failed to join {at}: {why}")),
                }
                self.join(request, rest, report, turn);
            }
            Purpose::Periodic(name) => {
                if let Err(why) = result {
                    turn.warn(format!("Push/Pull with {name} failed: {why}"));
                }
            }
        }
    }

    fn merge(&mut self, join: bool, remote: PushPull, turn: &mut Turn<'_>) -> Result<(), String> {
        self.verify_versions(&remote.nodes)?;
        if join {
            turn.delegate.admit(&remote.nodes)?;
        }
        for node in remote.nodes {
            self.merge_node(node, turn);
        }
        if let Some(state) = remote.user {
            turn.out.push(Output::RemoteState { state, join });
        }
        Ok(())
    }

    fn merge_node(&mut self, remote: NodeState, turn: &mut Turn<'_>) {
        let NodeState { node, addr, port, meta, incarnation, state, versions } = remote;
        match state {
            MemberState::Alive => {
                self.alive(Alive { incarnation, node, addr, port, meta, versions }, turn);
            }
            MemberState::Left => {
                let from = node.clone();
                self.dead(Accusation { incarnation, node, from }, turn);
            }
            // Oracle: no-stale-resurrection. Who was forgotten is somebody new, though called dead.
            MemberState::Dead | MemberState::Suspect
                if self.node(&node).is_none() && planted!(self.faults, "forgotten-are-revived") =>
            {
                self.alive(Alive { incarnation, node, addr, port, meta, versions }, turn);
            }
            MemberState::Dead | MemberState::Suspect => {
                let from = self.config.name.clone();
                self.suspect(Accusation { incarnation, node, from }, turn);
            }
        }
    }

    /// Whether every member, ours and theirs, speaks what all that live understand.
    fn verify_versions(&self, remote: &[NodeState]) -> Result<(), String> {
        let theirs = remote.iter().map(|node| (&node.node, node.state, node.versions));
        let ours = self.roster.nodes().map(|node| (&node.name, node.state, node.versions));
        let (mut protocol, mut delegate) = (Span::ALL, Span::ALL);
        for (_, state, versions) in theirs.clone().chain(ours.clone()) {
            if let (MemberState::Alive, Some([pmin, pmax, _, dmin, dmax, _])) = (state, versions) {
                protocol.narrow(pmin, pmax);
                delegate.narrow(dmin, dmax);
            }
        }
        for (name, _, versions) in theirs.chain(ours) {
            let [_, _, spoken, _, _, spoken_above] = known_or_zero(versions);
            protocol.check(name, "protocol", spoken)?;
            delegate.check(name, "delegate protocol", spoken_above)?;
        }
        Ok(())
    }
}

fn known_or_zero(versions: Versions) -> [u8; 6] {
    versions.unwrap_or_default()
}

/// The versions that all understand.
#[derive(Clone, Copy)]
struct Span {
    min: u8,
    max: u8,
}

impl Span {
    const ALL: Span = Span { min: 0, max: u8::MAX };

    fn narrow(&mut self, min: u8, max: u8) {
        self.min = self.min.max(min);
        self.max = self.max.min(max);
    }

    fn check(self, name: &NodeName, what: &str, spoken: u8) -> Result<(), String> {
        if (self.min..=self.max).contains(&spoken) {
            return Ok(());
        }
        let Span { min, max } = self;
        Err(format!("Node '{name}' {what} version ({spoken}) is incompatible: [{min}, {max}]"))
    }
}
