//! Who is in the cluster, as gossip tells it: both pools of an agent, and what is read out of them.
//!
//! ```text
//!   datagrams, exchanges ─► Pool (LAN) ─► member events ─► Directory: which are servers, and where
//!   join, leave, tags    ─► Pool (WAN)       └──────────► whoever runs this: Server or Client agent
//! ```
//!
//! Server agents and client agents have one each. It decides nothing: leader duties, bootstrap and
//! forwarding are its users'. The WAN pool, of servers only, names its members `node.dc` (spec cluster
//! 3.1); all servers of the own datacenter that the LAN pool knows are joined to it ("flood", 3.5).

mod admission;
mod directory;
mod requests;
mod tags;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use bytes::Bytes;

use crate::base::{Faults, Instant, NodeName, Prng, RequestId};
use crate::gossip::serf::Previous;
use crate::gossip::{self, MemberEvent, Pool, UserEvent};

use super::io::Output;
use super::membership::Membership;
use super::types::{Failure, Reply};

pub use admission::{LanAdmission, WanAdmission};
pub use directory::{Directory, ServerInfo};
pub use tags::{Identity, LEGACY_BUILD, Role};

/// Names what an agent asks of its pools by itself; nobody waits for the end.
pub(super) const OWN: RequestId = RequestId(u64::MAX);
/// Names the one user event that is being fired.
const FIRING: RequestId = RequestId(u64::MAX - 1);

/// One of an agent's gossip pools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum PoolId {
    Lan,
    Wan,
}

/// How an agent takes part in gossip.
#[derive(Debug)]
pub struct MembersConfig {
    /// Who it is: what its tags say.
    pub identity: Identity,
    /// The pool of the datacenter.
    pub lan: gossip::PoolConfig,
    /// What that pool's snapshot file told.
    pub lan_previous: Previous,
    /// The pool of all servers, with what its snapshot file told; none for clients.
    pub wan: Option<(gossip::PoolConfig, Previous)>,
}

/// What those who run the pools must hear, in the order in which it happened.
#[derive(Debug)]
pub(super) enum Heard {
    Member(PoolId, MemberEvent),
    UserEvent(UserEvent),
    /// A member has answered a query of ours.
    QueryAnswered(PoolId, RequestId, NodeName, Bytes),
    /// Its time is up, or it could not be asked.
    QueryEnded(PoolId, RequestId, Result<(), String>),
    Left(PoolId),
}

/// Both pools.
#[derive(Debug)]
pub struct Members {
    pub(super) identity: Identity,
    lan: Pool,
    wan: Option<Pool>,
    pub(super) directory: Directory,
    /// Requests of users that a pool has under way.
    asked: BTreeSet<RequestId>,
    /// Queries whose answers are taken.
    queries: BTreeSet<(PoolId, RequestId)>,
    /// How the firing of a user event ended.
    fired: Option<Result<(), String>>,
    pool_out: Vec<gossip::Output>,
    heard: Vec<Heard>,
}

impl Members {
    /// Pools that begin with what their snapshot files told.
    pub fn new(
        config: MembersConfig,
        prng: &Prng,
        faults: &Faults,
        now: Instant,
        out: &mut Vec<Output>,
    ) -> Self {
        let mut pool_out = Vec::new();
        let (lan, previous, stream) = (config.lan, config.lan_previous, prng.fork("lan"));
        let lan = Pool::new(lan, previous, &stream, faults.clone(), now, &mut pool_out);
        let mut members = Self {
            identity: config.identity,
            lan,
            wan: None,
            directory: Directory::default(),
            asked: BTreeSet::new(),
            queries: BTreeSet::new(),
            fired: None,
            pool_out,
            heard: Vec::new(),
        };
        members.sort_out(PoolId::Lan, out);
        if let Some((config, previous)) = config.wan {
            let mut pool_out = std::mem::take(&mut members.pool_out);
            let stream = prng.fork("wan");
            members.wan =
                Some(Pool::new(config, previous, &stream, faults.clone(), now, &mut pool_out));
            members.pool_out = pool_out;
            members.sort_out(PoolId::Wan, out);
        }
        members
    }

    /// One input of one pool. A pool that this agent does not have takes nothing.
    pub(super) fn step(
        &mut self,
        now: Instant,
        pool: PoolId,
        input: gossip::Input,
        out: &mut Vec<Output>,
    ) {
        match (pool, &mut self.wan) {
            (PoolId::Lan, _) => self.lan.step(now, input, &mut self.pool_out),
            (PoolId::Wan, Some(wan)) => wan.step(now, input, &mut self.pool_out),
            (PoolId::Wan, None) => return,
        }
        self.sort_out(pool, out);
    }

    /// Fires a user event in the datacenter's pool.
    ///
    /// # Errors
    /// Serf's text.
    pub(super) fn fire(
        &mut self,
        now: Instant,
        name: String,
        payload: Bytes,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let input = gossip::Input::UserEvent { request: FIRING, name, payload, coalesce: false };
        self.step(now, PoolId::Lan, input, out);
        let fired = self.fired.take();
        crate::invariant!(fired.is_some(), "Serf has not said how an event's firing ended");
        fired.unwrap_or(Ok(()))
    }

    /// Asks all members of a pool: [`Heard::QueryAnswered`], and in the end [`Heard::QueryEnded`].
    pub(super) fn query(
        &mut self,
        now: Instant,
        pool: PoolId,
        request: RequestId,
        (name, payload): (&str, Bytes),
        relay_factor: u8,
        out: &mut Vec<Output>,
    ) {
        self.queries.insert((pool, request));
        let (name, filters, acks, timeout) = (name.to_owned(), Vec::new(), false, None);
        let input =
            gossip::Input::Query { request, name, payload, filters, acks, relay_factor, timeout };
        self.step(now, pool, input, out);
    }

    /// The deadline has come for those pools for which it has.
    pub(super) fn wake(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.lan.deadline().is_some_and(|at| at <= now) {
            self.step(now, PoolId::Lan, gossip::Input::Wake, out);
        }
        if self.wan.as_ref().and_then(Pool::deadline).is_some_and(|at| at <= now) {
            self.step(now, PoolId::Wan, gossip::Input::Wake, out);
        }
    }

    /// When the pools want to be woken.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.lan.deadline().into_iter().chain(self.wan.as_ref().and_then(Pool::deadline)).min()
    }

    /// What happened since the last time.
    pub(super) fn heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard)
    }

    /// A pool, to look at.
    #[must_use]
    pub fn pool(&self, pool: PoolId) -> Option<&Pool> {
        match pool {
            PoolId::Lan => Some(&self.lan),
            PoolId::Wan => self.wan.as_ref(),
        }
    }

    /// The pool of the datacenter.
    #[must_use]
    pub fn lan(&self) -> &Pool {
        &self.lan
    }

    /// Where a server of the own datacenter that is no member of the WAN pool would be joined to it.
    pub(super) fn unflooded(&self) -> Vec<SocketAddr> {
        let Some(wan) = &self.wan else { return Vec::new() };
        let known = |server: &&ServerInfo| {
            wan.member(&NodeName::from(format!("{}.{}", server.name, server.datacenter))).is_none()
        };
        self.directory.servers().filter(known).filter_map(ServerInfo::wan_address).collect()
    }

    /// Panics when an invariant does not hold.
    pub fn check_invariants(&self) {
        self.lan.check_invariants();
        if let Some(wan) = &self.wan {
            wan.check_invariants();
        }
    }

    /// Requests for I/O go out as they are; what is for this agent is kept for [`Members::heard`].
    fn sort_out(&mut self, pool: PoolId, out: &mut Vec<Output>) {
        for output in self.pool_out.drain(..) {
            match output {
                gossip::Output::Member(event) => {
                    let fact = match pool {
                        PoolId::Lan => self.directory.note(&event, &self.identity),
                        PoolId::Wan => ServerInfo::parse(&event.member)
                            .map(|server| Membership::WanServer(event.kind, Box::new(server))),
                    };
                    out.extend(fact.map(Output::member));
                    self.heard.push(Heard::Member(pool, event));
                }
                gossip::Output::UserEvent(event) if pool == PoolId::Lan => {
                    out.push(Output::member(Membership::UserEvent(event.clone())));
                    self.heard.push(Heard::UserEvent(event));
                }
                gossip::Output::Joined { request, report } => {
                    // Own joins are repeated, and nobody waits for them.
                    if self.asked.remove(&request) {
                        out.push(Output::member(Membership::Joined(pool, report.clone())));
                        out.push(Output::Answer(request, Ok(Reply::Joined(report))));
                    }
                }
                gossip::Output::Done { request: FIRING, result } => self.fired = Some(result),
                gossip::Output::Done { request, result } => {
                    if self.queries.remove(&(pool, request)) {
                        self.heard.push(Heard::QueryEnded(pool, request, result));
                    } else if self.asked.remove(&request) {
                        let answer = result.map(|()| Reply::Done).map_err(Failure::Refused);
                        out.push(Output::Answer(request, answer));
                    }
                }
                gossip::Output::Left => self.heard.push(Heard::Left(pool)),
                gossip::Output::Event(event) => {
                    out.push(Output::member(Membership::Gossip(pool, event)));
                }
                // Consul fires no events in the WAN pool.
                gossip::Output::UserEvent(_) => {}
                gossip::Output::QueryAnswer { request, from, payload } => {
                    // Without a payload it is an ack, for which Consul does not ask.
                    let heard = payload.map(|it| Heard::QueryAnswered(pool, request, from, it));
                    self.heard.extend(heard);
                }
                io => out.push(Output::Gossip(pool, io)),
            }
        }
    }
}
