//! Operations on the keys of gossip (spec api 2.11, cluster 1.7): asked of one server, done by every member.
//!
//! ```text
//!   Keyring ─► WAN pool: Serf's query _serf_…-key ─► each member changes its keyring, and answers
//!                 └─ all have answered, or time is up ─► LAN pool likewise ─► what both said
//! ```
//!
//! Consul's order: the pool of all servers first, then the datacenter's. The changes themselves are the
//! driver's, which holds the keys. A member that does not answer in time is missing in the sum and makes
//! the operation an error of that pool, while all others have done it: it is for the operator to do it
//! again, and each operation may be done twice.
//!
//! Invariants: an operation has a query under way in the pool whose turn it is; each member is counted
//! once (Serf's promise). An operation is given up when whoever asked has gone; the query goes on.
//!
//! Deliberately not here: other datacenters, whose servers Consul asks by RPC.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::go_base64;
use crate::base::{Instant, NodeName, RequestId};
use crate::gossip::{Pool, Status};
use crate::wire::gossip::{KeyAction, KeyRequest, decode_key_response, encode_key_request};

use super::core::Agent;
use super::io::Output;
use super::members::PoolId;
use super::types::{Failure, Reply};

/// What is to be done with the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyringOperation {
    /// What.
    pub action: KeyAction,
    /// With which key, in base64; empty for a list.
    pub key: String,
    /// Answers go through so many others too.
    pub relay_factor: u8,
    /// Of the datacenter's pool alone.
    pub local_only: bool,
    /// Another server has asked the pool of all servers already.
    pub forwarded: bool,
}

/// What the members of a pool said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolKeys {
    /// Of the pool of all servers.
    pub wan: bool,
    /// Whose pool it is.
    pub datacenter: String,
    /// What members said beside their keys: why it did not work.
    pub messages: BTreeMap<String, String>,
    /// Of a list: how many have each key.
    pub keys: BTreeMap<String, u64>,
    /// Of a list: whose primary key it is.
    pub primary_keys: BTreeMap<String, u64>,
    /// Members that were asked.
    pub nodes: u64,
    /// Why the operation counts as failed; empty: it does not.
    pub error: String,
}

/// An operation that is under way.
#[derive(Debug)]
struct UnderWay {
    operation: KeyringOperation,
    /// Pools that were asked before.
    ended: Vec<PoolKeys>,
    pool: PoolId,
    now: PoolKeys,
    answered: u64,
    failed: u64,
}

/// Those that are under way.
#[derive(Debug, Default)]
pub(super) struct KeyringOperations(BTreeMap<RequestId, UnderWay>);

impl KeyringOperations {
    /// Nobody waits for this one any more.
    pub fn forget(&mut self, id: RequestId) {
        self.0.remove(&id);
    }

    /// The process is about to stop.
    pub fn stop(&mut self, out: &mut Vec<Output>) {
        let ids = std::mem::take(&mut self.0).into_keys();
        out.extend(ids.map(|id| Output::Answer(id, Err(Failure::ShuttingDown))));
    }
}

impl Agent {
    /// Begins an operation; answered when every pool has had its turn.
    pub(super) fn begin_keyring(
        &mut self,
        now: Instant,
        id: RequestId,
        operation: KeyringOperation,
        out: &mut Vec<Output>,
    ) {
        let refusal = match (&self.members, operation.action) {
            (None, _) => Some("this server takes no part in gossip"),
            (_, KeyAction::List) => None,
            _ if operation.local_only => {
                Some("argument error: LocalOnly can only be used for List operations")
            }
            _ => None,
        };
        if let Some(text) = refusal {
            out.push(Output::Answer(id, Err(Failure::Refused(text.to_owned()))));
            return;
        }
        let wan = self.members.as_ref().is_some_and(|members| members.pool(PoolId::Wan).is_some());
        let first = match wan && !operation.local_only && !operation.forwarded {
            true => PoolId::Wan,
            false => PoolId::Lan,
        };
        self.ask_for_keys(now, id, UnderWay::new(operation, first), out);
    }

    /// Asks the pool whose turn it is. What cannot be asked is the end of that pool's turn.
    fn ask_for_keys(
        &mut self,
        now: Instant,
        id: RequestId,
        mut under_way: UnderWay,
        out: &mut Vec<Output>,
    ) {
        let Some(members) = &mut self.members else { return };
        under_way.now.datacenter = self.config.datacenter.clone();
        under_way.now.wan = under_way.pool == PoolId::Wan;
        match go_base64::decode(&under_way.operation.key) {
            Ok(key) => {
                let KeyringOperation { action, relay_factor, .. } = under_way.operation;
                let payload = encode_key_request(&KeyRequest { key: key.into() });
                let (pool, name) = (under_way.pool, action.query_name());
                under_way.now.nodes = members.pool(pool).map_or(0, present);
                self.keyring.0.insert(id, under_way);
                members.query(now, pool, id, (name, payload), relay_factor, out);
            }
            Err(text) => {
                under_way.now.error = text;
                self.keyring.0.insert(id, under_way);
                self.end_turn(now, id, out);
            }
        }
    }

    /// A member's answer.
    pub(super) fn on_keys_answered(
        &mut self,
        now: Instant,
        (pool, id): (PoolId, RequestId),
        (from, payload): (&NodeName, &[u8]),
        out: &mut Vec<Output>,
    ) {
        let Some(under_way) = self.keyring.0.get_mut(&id).filter(|it| it.pool == pool) else {
            return;
        };
        under_way.take(from, payload);
        if under_way.answered >= under_way.now.nodes {
            self.end_turn(now, id, out);
        }
    }

    /// A query's time is up, or it could not be asked: why.
    pub(super) fn on_keys_ended(
        &mut self,
        now: Instant,
        (pool, id): (PoolId, RequestId),
        result: Result<(), String>,
        out: &mut Vec<Output>,
    ) {
        let Some(under_way) = self.keyring.0.get_mut(&id).filter(|it| it.pool == pool) else {
            return;
        };
        if let Err(text) = result {
            (under_way.now.nodes, under_way.now.error) = (0, text);
        }
        self.end_turn(now, id, out);
    }

    /// The pool whose turn it was has said all it will.
    fn end_turn(&mut self, now: Instant, id: RequestId, out: &mut Vec<Output>) {
        let Some(mut under_way) = self.keyring.0.remove(&id) else { return };
        let ended = under_way.sum_up();
        under_way.ended.push(ended);
        match under_way.pool {
            PoolId::Wan => {
                under_way.pool = PoolId::Lan;
                self.ask_for_keys(now, id, under_way, out);
            }
            PoolId::Lan => {
                out.push(Output::Answer(id, Ok(Reply::Keyring(under_way.ended))));
            }
        }
    }
}

impl UnderWay {
    fn new(operation: KeyringOperation, pool: PoolId) -> Self {
        let (ended, now) = (Vec::new(), PoolKeys::default());
        Self { operation, ended, pool, now, answered: 0, failed: 0 }
    }

    /// Adds what a member said.
    fn take(&mut self, from: &NodeName, payload: &[u8]) {
        self.answered += 1;
        let said = match decode_key_response(payload) {
            Ok(said) => said,
            Err(error) => {
                self.failed += 1;
                let text = format!("Failed to decode key query response: {error}");
                self.now.messages.insert(from.to_string(), text);
                return;
            }
        };
        self.failed += u64::from(!said.result);
        if !said.result || !said.message.is_empty() {
            self.now.messages.insert(from.to_string(), said.message);
        }
        // A hostile member counts once for each key, as the others do.
        for key in said.keys.into_iter().collect::<BTreeSet<_>>() {
            *self.now.keys.entry(key).or_default() += 1;
        }
        if !said.primary_key.is_empty() {
            *self.now.primary_keys.entry(said.primary_key).or_default() += 1;
        }
    }

    /// The pool's sum, with Serf's text when not everybody has done it; ready for the next pool.
    fn sum_up(&mut self) -> PoolKeys {
        let mut sum = std::mem::take(&mut self.now);
        let (answered, failed) = (self.answered, self.failed);
        (self.answered, self.failed) = (0, 0);
        if sum.error.is_empty() && failed > 0 {
            sum.error = format!("{failed}/{} nodes reported failure", sum.nodes);
        } else if sum.error.is_empty() && answered != sum.nodes {
            sum.error = format!("{answered}/{} nodes reported success", sum.nodes);
        }
        sum
    }
}

/// Whom Serf expects an answer of: members that are not known to be gone.
fn present(pool: &Pool) -> u64 {
    let there = |status| matches!(status, Status::Alive | Status::Leaving);
    pool.members().filter(|member| there(member.status)).count() as u64
}
