//! Queries: a question to everybody, answers to the asker alone (spec cluster 2.14).
//!
//! ```text
//!   asker    Query (broadcast) ──► each: filters ──► ack ──► asker        straight, and through r others
//!                                          └─► application ──► Respond ──► asker    (relay factor r)
//!            deadline: Done; later answers: "reply for non-running query"
//! ```
//!
//! Serf's own queries begin with `_serf_`. A ping is answered by its ack; a conflict query here; those for
//! keys by the application, which holds the keyring.
//!
//! Invariants: a query is heard once; each member's ack and its answer count once; an answer leaves only
//! before the query's deadline, and once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use bytes::Bytes;

use crate::base::{Duration, Instant, NodeName, RequestId};
use crate::gossip::io::{MemberView, Status};
use crate::gossip::message::{LamportTime, Query, QueryResponse, Relay, SerfMessage};
use crate::gossip::pool_io::{self, QueryKey};
use crate::gossip::serf::config::log_scale;
use crate::gossip::serf::filter;
use crate::gossip::serf::queue::Kind;
use crate::gossip::serf::ring::{Ring, Verdict};
use crate::gossip::serf::types::Question;
use crate::gossip::serf::{Output, Serf, warn};

const WANTS_ACK: u32 = 1;
const NO_BROADCAST: u32 = 2;
const IS_ACK: u32 = 1;
/// Members from this version of the delegate's protocol on pass answers on.
const RELAYS_SINCE: u8 = 5;
/// What Serf asks on its own account.
const OWN_PREFIX: &str = "_serf_";

/// A query that may still be answered by us.
#[derive(Clone, Debug)]
struct Asked {
    to: SocketAddr,
    to_node: Option<NodeName>,
    relay_factor: u8,
    deadline: Instant,
}

/// A query of ours.
#[derive(Debug)]
struct Running {
    request: RequestId,
    id: u32,
    deadline: Instant,
    acked: BTreeSet<NodeName>,
    answered: BTreeSet<NodeName>,
}

#[derive(Debug)]
pub(super) struct Queries {
    ring: Ring<u32>,
    asked: BTreeMap<QueryKey, Asked>,
    running: BTreeMap<LamportTime, Running>,
}

impl Queries {
    pub(super) fn new(slots: usize, min_time: LamportTime) -> Self {
        Self { ring: Ring::new(slots, min_time), asked: BTreeMap::new(), running: BTreeMap::new() }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.running.values().map(|running| running.deadline).min()
    }

    pub(super) fn check_invariants(&self, clock: LamportTime) {
        self.ring.check_invariants(clock);
    }
}

impl Serf {
    /// The application asks.
    pub(super) fn ask(&mut self, now: Instant, question: Question, out: &mut Vec<Output>) {
        let request = question.request;
        let rounds = self.config.query_timeout_mult * log_scale(self.members.present());
        let timeout = question.timeout.unwrap_or(self.config.gossip_interval * rounds);
        let Question { name, payload, filters, acks, relay_factor, .. } = question;
        let query = Query {
            time: self.query_clock.time(),
            id: self.prng.below(1 << 31) as u32,
            addr: self.config.addr.ip(),
            port: self.config.addr.port(),
            source_node: Some(self.config.name.clone()),
            filters: (!filters.is_empty()).then_some(filters),
            flags: if acks { WANTS_ACK } else { 0 },
            relay_factor,
            timeout_ns: i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX),
            name,
            payload: (!payload.is_empty()).then_some(payload),
        };
        let message = SerfMessage::Query(query.clone());
        let limit = self.config.query_size_limit;
        if self.encoded_len(message.clone()) > limit {
            let result = Err(format!("query exceeds limit of {limit} bytes"));
            out.push(Output::Out(pool_io::Output::Done { request, result }));
            return;
        }
        let (acked, answered) = (BTreeSet::new(), BTreeSet::new());
        let running = Running { request, id: query.id, deadline: now + timeout, acked, answered };
        self.queries.running.insert(query.time, running);
        self.hear_query(now, &query, out);
        self.broadcast(Kind::Query, message, None);
    }

    /// Takes a query in; whether it is to be passed on.
    pub(super) fn hear_query(
        &mut self,
        now: Instant,
        query: &Query,
        out: &mut Vec<Output>,
    ) -> bool {
        self.query_clock.witness(query.time);
        let clock = self.query_clock.time();
        match self.queries.ring.offer(clock, query.time, query.id) {
            Verdict::Ignored => return false,
            Verdict::TooOld => {
                let Query { name, time, .. } = query;
                warn(out, format!("received old query {name} from time {time} (current: {clock})"));
                return false;
            }
            Verdict::New => {}
        }
        let passes_on = query.flags & NO_BROADCAST == 0;
        let filters = query.filters.as_deref().unwrap_or_default();
        match filter::passes(filters, &self.config.name, &self.config.tags) {
            Ok(true) => {}
            Ok(false) => return passes_on,
            Err(text) => {
                warn(out, text);
                return passes_on;
            }
        }
        let timeout = Duration::from_nanos(u64::try_from(query.timeout_ns).unwrap_or(0));
        let asked = Asked {
            to: SocketAddr::new(query.addr, query.port),
            to_node: query.source_node.clone(),
            relay_factor: query.relay_factor,
            deadline: now + timeout,
        };
        let key = QueryKey { time: query.time, id: query.id };
        if query.flags & WANTS_ACK != 0 {
            self.answer(key, &asked, IS_ACK, None, out);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.query(query.time);
        }
        self.deliver(now, query, key, asked, out);
        passes_on
    }

    /// To the application, or to whoever answers in its place.
    fn deliver(
        &mut self,
        now: Instant,
        query: &Query,
        key: QueryKey,
        asked: Asked,
        out: &mut Vec<Output>,
    ) {
        let payload = query.payload.clone().unwrap_or_default();
        match query.name.strip_prefix(OWN_PREFIX) {
            // The ack is the answer.
            Some("ping") => return,
            Some("conflict") => return self.answer_conflict(key, &asked, &payload, out),
            None | Some("install-key" | "use-key" | "remove-key" | "list-keys") => {}
            Some(_) => {
                warn(out, format!("Unhandled internal query '{}'", query.name));
                return;
            }
        }
        self.queries.asked.retain(|_, asked| asked.deadline >= now);
        self.queries.asked.insert(key, asked);
        out.push(Output::Out(pool_io::Output::Query {
            query: key,
            from: query.source_node.clone(),
            name: query.name.clone(),
            payload,
        }));
    }

    /// Somebody asks who the holder of a name is, in our view. The one concerned does not answer.
    fn answer_conflict(
        &mut self,
        key: QueryKey,
        asked: &Asked,
        payload: &[u8],
        out: &mut Vec<Output>,
    ) {
        let Ok(name) = std::str::from_utf8(payload) else { return };
        let name = NodeName::from(name);
        if name == self.config.name {
            return;
        }
        let view = self.members.get(&name).map(|member| &member.view);
        let answer = (self.codec.encode_conflict)(view);
        self.answer(key, asked, 0, Some(answer), out);
    }

    /// The application answers.
    pub(super) fn respond(
        &mut self,
        now: Instant,
        key: QueryKey,
        payload: Bytes,
        out: &mut Vec<Output>,
    ) {
        match self.queries.asked.remove(&key) {
            None => warn(out, "response already sent".to_owned()),
            Some(asked) if asked.deadline < now => {
                warn(out, "response is past the deadline".to_owned());
            }
            Some(asked) => self.answer(key, &asked, 0, Some(payload), out),
        }
    }

    fn answer(
        &mut self,
        key: QueryKey,
        asked: &Asked,
        flags: u32,
        payload: Option<Bytes>,
        out: &mut Vec<Output>,
    ) {
        let from = self.config.name.clone();
        let answer = QueryResponse { time: key.time, id: key.id, from, flags, payload };
        let message = SerfMessage::QueryResponse(answer);
        let limit = self.config.query_response_size_limit;
        if self.encoded_len(message.clone()) > limit {
            warn(out, format!("response exceeds limit of {limit} bytes"));
            return;
        }
        out.push(Output::Send { to: asked.to, message: message.clone() });
        self.relay(asked, message, out);
    }

    /// The same answer through some others, in case that the straight way loses it.
    fn relay(&mut self, asked: &Asked, message: SerfMessage, out: &mut Vec<Output>) {
        let wanted = usize::from(asked.relay_factor);
        if wanted == 0 || self.members.len() < wanted + 1 {
            return;
        }
        let relay =
            Relay { to: asked.to, to_node: asked.to_node.clone(), message: Box::new(message) };
        let relay = SerfMessage::Relay(relay);
        let limit = self.config.query_response_size_limit;
        if self.encoded_len(relay.clone()) > limit {
            warn(out, format!("relayed response exceeds limit of {limit} bytes"));
            return;
        }
        let carries = |view: &MemberView| {
            view.status == Status::Alive
                && view.versions.is_some_and(|versions| versions[4] >= RELAYS_SINCE)
                && view.name != self.config.name
        };
        let mut others: Vec<SocketAddr> =
            self.members().filter(|view| carries(view)).map(|view| view.addr).collect();
        self.prng.shuffle(&mut others);
        let sends = others.into_iter().take(wanted);
        out.extend(sends.map(|to| Output::Send { to, message: relay.clone() }));
    }

    /// An answer, or an ack, to a query of ours.
    pub(super) fn hear_answer(&mut self, answer: &QueryResponse, out: &mut Vec<Output>) {
        let QueryResponse { time, id, from, .. } = answer;
        let Some(running) = self.queries.running.get_mut(time) else {
            warn(
                out,
                format!("reply for non-running query (LTime: {time}, ID: {id}) From: {from}"),
            );
            return;
        };
        if running.id != *id {
            let local = running.id;
            warn(out, format!("query reply ID mismatch (Local: {local}, Response: {id})"));
            return;
        }
        let is_ack = answer.flags & IS_ACK != 0;
        let seen = if is_ack { &mut running.acked } else { &mut running.answered };
        if !seen.insert(from.clone()) {
            return;
        }
        let payload = (!is_ack).then(|| answer.payload.clone().unwrap_or_default());
        let request = running.request;
        let from = from.clone();
        out.push(Output::Out(pool_io::Output::QueryAnswer { request, from, payload }));
    }

    /// Ends those whose time is up.
    pub(super) fn close_queries(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.queries.running.retain(|_, running| {
            let runs = running.deadline > now;
            if !runs {
                let (request, result) = (running.request, Ok(()));
                out.push(Output::Out(pool_io::Output::Done { request, result }));
            }
            runs
        });
    }
}
