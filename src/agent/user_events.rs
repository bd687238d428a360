//! User events of Consul's (spec api 2.7, cluster 10.9): fired by anybody, kept by every agent whom they
//! concern, listed and waited for.
//!
//! ```text
//!   FireUserEvent ─► checked, named by a UUID ─► EventFire ─► a server (itself, when this is one)
//!                                                              └─► Serf's user event consul:event:NAME
//!   Serf's user event ─► decoded ─► filters ─► the last 256 ─► lists, and whoever waits for another index
//! ```
//!
//! The index of a list is the XOR of the halves of its last event's UUID; it does not grow, so a list is
//! waited for until it has *another* index. Of a list by name only the events of that name count.
//!
//! Invariants: at most [`KEPT`] events; who waits has a time at which it is answered at the latest. That
//! no event is heard twice is Serf's promise.
//!
//! A server is asked once: Consul asks another one when the connection breaks, and may so fire an event
//! twice. What is kept ends with the process, as Consul's does. Remote execution (`_rexec`) is not there and
//! its events are dropped, as Consul drops them where it is off.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use regex::{Regex, RegexBuilder};

use crate::base::ids::uuid;
use crate::base::{Faults, Instant, Prng, RequestId};
use crate::gossip;
use crate::planted;
use crate::wire::user_event;

use super::io::Output;
use super::membership::Membership;
use super::types::{Failure, Reply, Request};

/// So many events are remembered.
pub const KEPT: usize = 256;
/// The protocol of the events that this agent fires and understands.
const VERSION: u64 = 1;
/// Serf's names of Consul's user events begin so.
const PREFIX: &str = "consul:event:";
/// The event that asks for remote execution.
const REMOTE_EXEC: &str = "_rexec";
/// A compiled expression takes so many bytes at most: it comes from anybody.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// A user event, fired or about to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FiredEvent {
    /// A UUID.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What it carries.
    pub payload: Bytes,
    /// A regular expression: the nodes whom it concerns; empty: all.
    pub node_filter: String,
    /// Likewise the names of services, one of which the node must have.
    pub service_filter: String,
    /// Likewise the tags, one of which that service must have.
    pub tag_filter: String,
    /// Of its form: 1.
    pub version: u64,
    /// Serf's Lamport time; 0 before it was heard.
    pub time: u64,
}

impl FiredEvent {
    /// Serf's name of the user event that carries an event of this name.
    #[must_use]
    pub fn serf_name(name: &str) -> String {
        format!("{PREFIX}{name}")
    }

    /// The index of a list that ends with it: the halves of its id, XORed.
    fn index(&self) -> u64 {
        let digits: String = self.id.chars().filter(|digit| *digit != '-').collect();
        let number = u128::from_str_radix(&digits, 16).unwrap_or_default();
        (number >> 64) as u64 ^ number as u64
    }
}

/// What happened to user events, beside that they were heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserEventFact {
    /// One was added to those that are kept.
    Kept {
        /// Its name.
        name: String,
        /// Its id.
        id: String,
    },
    /// One asks for remote execution.
    RemoteExecution {
        /// Its id.
        id: String,
    },
    /// It is of a later version.
    Newer {
        /// Its name.
        name: String,
        /// Which.
        version: u64,
    },
    /// Its payload makes no sense: why.
    Unreadable(String),
    /// One of its filters does not.
    BadFilter {
        /// `node`, `service` or `tag`.
        kind: &'static str,
        /// The expression.
        filter: String,
        /// The event's name.
        name: String,
        /// Why.
        why: String,
    },
}

/// Somebody who waits for another index than this.
#[derive(Clone, Debug)]
struct Lister {
    name: String,
    index: u64,
    until: Instant,
}

/// One agent's user events.
#[derive(Debug)]
pub(super) struct UserEvents {
    node: String,
    /// The oldest first.
    kept: VecDeque<Arc<FiredEvent>>,
    /// On their way to Serf.
    firing: BTreeMap<RequestId, FiredEvent>,
    listers: BTreeMap<RequestId, Lister>,
    due: BTreeSet<(Instant, RequestId)>,
    ids: Prng,
    faults: Faults,
}

impl UserEvents {
    pub fn new(node: &str, prng: &Prng, faults: &Faults) -> Self {
        Self {
            faults: faults.clone(),
            node: node.to_owned(),
            kept: VecDeque::new(),
            firing: BTreeMap::new(),
            listers: BTreeMap::new(),
            due: BTreeSet::new(),
            ids: prng.fork("user events"),
        }
    }

    /// Serves lists, and makes what a server is to be asked of an event that is to be fired. Every other
    /// request comes back as it is.
    pub fn ask(
        &mut self,
        now: Instant,
        id: RequestId,
        request: Request,
        out: &mut Vec<Output>,
    ) -> Option<Request> {
        match request {
            Request::FireUserEvent(event) => match self.fire(id, *event) {
                Ok(request) => return Some(request),
                Err(text) => out.push(Output::Answer(id, Err(Failure::Refused(text)))),
            },
            Request::UserEvents { name, index, max_wait } => {
                if index > 0 && index == self.index(&name) {
                    let until = now + max_wait;
                    self.due.insert((until, id));
                    self.listers.insert(id, Lister { name, index, until });
                } else {
                    out.push(Output::Answer(id, Ok(self.list(&name))));
                }
            }
            other => return Some(other),
        }
        None
    }

    /// What a server is asked, or Consul's text why nobody is.
    fn fire(&mut self, id: RequestId, mut event: FiredEvent) -> Result<Request, String> {
        if !event.tag_filter.is_empty() && event.service_filter.is_empty() {
            return Err("Cannot provide tag filter without service filter".to_owned());
        }
        for (kind, filter) in filters(&event) {
            compile(filter).map_err(|why| format!("Invalid {kind} filter: {why}"))?;
        }
        let mut bytes = [0; 16];
        self.ids.fill(&mut bytes);
        event.id = uuid(bytes);
        (event.version, event.time) = (VERSION, 0);
        let (name, payload) = (event.name.clone(), user_event::encode(&event));
        self.firing.insert(id, event);
        Ok(Request::EventFire { name, payload })
    }

    /// The answer to a request: that to an event which was fired names it.
    pub fn answered(
        &mut self,
        id: RequestId,
        result: Result<Reply, Failure>,
    ) -> Result<Reply, Failure> {
        match (self.firing.remove(&id), result) {
            (Some(event), Ok(Reply::Done)) => Ok(Reply::UserEventFired(Box::new(event))),
            (_, result) => result,
        }
    }

    /// Nobody waits for this answer.
    pub fn forget(&mut self, id: RequestId) {
        self.firing.remove(&id);
        self.stop_waiting(id);
    }

    fn stop_waiting(&mut self, id: RequestId) -> Option<Lister> {
        let lister = self.listers.remove(&id)?;
        self.due.remove(&(lister.until, id));
        Some(lister)
    }

    /// When the first of those who wait has waited enough.
    pub fn deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Answers those who have waited enough.
    pub fn wake(&mut self, now: Instant, out: &mut Vec<Output>) {
        while let Some((_, id)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.answer(id, out);
        }
    }

    fn answer(&mut self, id: RequestId, out: &mut Vec<Output>) {
        if let Some(lister) = self.stop_waiting(id) {
            out.push(Output::Answer(id, Ok(self.list(&lister.name))));
        }
    }

    /// The process is about to stop.
    pub fn stop(&mut self, out: &mut Vec<Output>) {
        let ids = std::mem::take(&mut self.listers).into_keys();
        out.extend(ids.map(|id| Output::Answer(id, Err(Failure::ShuttingDown))));
        self.due.clear();
    }

    /// Takes in what Serf has heard; `services` are this node's, with their tags.
    pub fn hear(
        &mut self,
        heard: &gossip::UserEvent,
        services: &[(&str, &[String])],
        out: &mut Vec<Output>,
    ) {
        if !heard.name.starts_with(PREFIX) {
            return;
        }
        let mut tell = |fact| out.push(Output::member(Membership::UserEvents(fact)));
        let event = match user_event::decode(heard.payload.as_deref().unwrap_or_default()) {
            Ok(event) => FiredEvent { time: heard.time.0, ..event },
            Err(error) => return tell(UserEventFact::Unreadable(error.to_string())),
        };
        if event.version > VERSION {
            let (name, version) = (event.name.clone(), event.version);
            tell(UserEventFact::Newer { name, version });
        }
        match concerns(&event, &self.node, services) {
            Ok(true) => {}
            Ok(false) => return,
            Err(fact) => return tell(fact),
        }
        let (name, id) = (event.name.clone(), event.id.clone());
        if name == REMOTE_EXEC {
            return tell(UserEventFact::RemoteExecution { id });
        }
        tell(UserEventFact::Kept { name, id });
        self.keep(event, out);
    }

    fn keep(&mut self, event: FiredEvent, out: &mut Vec<Output>) {
        let event = Arc::new(event);
        // Oracle: user-events. Nobody notices but those who list.
        let times = if planted!(self.faults, "event-kept-twice") { 2 } else { 1 };
        for _ in 0..times {
            if self.kept.len() == KEPT {
                self.kept.pop_front();
            }
            self.kept.push_back(event.clone());
        }
        // The oldest that went may have been the last of another name.
        let waits = |lister: &Lister| self.index(&lister.name) == lister.index;
        let ids: Vec<RequestId> =
            self.listers.iter().filter(|(_, it)| !waits(it)).map(|(id, _)| *id).collect();
        ids.into_iter().for_each(|id| self.answer(id, out));
    }

    fn named<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a Arc<FiredEvent>> {
        self.kept.iter().filter(move |event| name.is_empty() || event.name == name)
    }

    /// Never 0: a client would take it for "do not block".
    fn index(&self, name: &str) -> u64 {
        self.named(name).next_back().map_or(1, |event| event.index().max(1))
    }

    fn list(&self, name: &str) -> Reply {
        let events = self.named(name).cloned().collect();
        Reply::UserEvents { events, index: self.index(name) }
    }

    /// Panics when an invariant does not hold.
    pub fn check_invariants(&self) {
        let waiting: BTreeSet<_> = self.listers.iter().map(|(id, it)| (it.until, *id)).collect();
        crate::invariant!(waiting == self.due, "wait {waiting:?}, are due {:?}", self.due);
        crate::invariant!(self.kept.len() <= KEPT, "{} events", self.kept.len());
    }
}

/// The filters that are set.
fn filters(event: &FiredEvent) -> impl Iterator<Item = (&'static str, &str)> {
    let FiredEvent { node_filter, service_filter, tag_filter, .. } = event;
    [("node", node_filter), ("service", service_filter), ("tag", tag_filter)]
        .into_iter()
        .filter(|(_, filter)| !filter.is_empty())
        .map(|(kind, filter)| (kind, filter.as_str()))
}

/// Go's regular expressions are RE2's, and so are these (see `gossip::serf::filter`).
fn compile(filter: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(filter).size_limit(COMPILED_BYTES_MAX).build();
    built.map_err(|error| format!("error parsing regexp: {error}"))
}

/// Whether an event concerns this node.
fn concerns(
    event: &FiredEvent,
    node: &str,
    services: &[(&str, &[String])],
) -> Result<bool, UserEventFact> {
    let regex = |(kind, filter): (&'static str, &str)| {
        let bad = |why| UserEventFact::BadFilter {
            kind,
            filter: filter.to_owned(),
            name: event.name.clone(),
            why,
        };
        compile(filter).map(|regex| (kind, regex)).map_err(bad)
    };
    let filters: BTreeMap<&str, Regex> = filters(event).map(regex).collect::<Result<_, _>>()?;
    let name_fits = filters.get("node").is_none_or(|filter| filter.is_match(node));
    // A tag filter alone is ignored, as Consul does.
    let Some(service) = filters.get("service") else { return Ok(name_fits) };
    let tag_fits = |tags: &[String]| {
        filters.get("tag").is_none_or(|tag| tags.iter().any(|it| tag.is_match(it)))
    };
    let one = services.iter().any(|(name, tags)| service.is_match(name) && tag_fits(tags));
    Ok(name_fits && one)
}

#[cfg(test)]
mod tests;
