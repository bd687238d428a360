//! Serf: what a membership means (spec cluster 2). Sans-IO.
//!
//! ```text
//!                         commands            SWIM: joined, left, updated, messages, states
//!                            │                                   │
//!                ┌───────────▼───────────────────────────────────▼──────────┐
//!                │ intents   members   events   queries   leave   reaper    │──► Member, UserEvent,
//!                │     └────────┬─────────┴────────┘                        │    Query, Done, Left
//!                │          broadcasts (offered to SWIM)      recorder      │──► snapshot lines
//!                └──────────────────────────────────────────────────────────┘
//! ```
//!
//! SWIM knows who answers; Serf knows who *meant* to go. Three Lamport clocks order what members say of
//! one another: intents to join and to leave, user events, queries. What is new is passed on through
//! SWIM's datagrams ([`Delegate`](crate::gossip::swim::Delegate)) and, whole, in SWIM's push/pull.
//!
//! | file | of it |
//! |---|---|
//! | `members`, `intents` | statuses and what moves them |
//! | `ring`, `events`, `queries`, `filter` | what is said to everybody, once |
//! | `exchange` | the state in a push/pull |
//! | `leave`, `reaper` | sequences with deadlines: leaving, forcing, forgetting, reaching out again |
//! | `recorder`, `replay` | the snapshot file |
//! | `queue`, `delegate` | what SWIM carries for us |
//!
//! Invariants: those of the parts; while this member has not been told to leave, nobody makes it leave
//! (it contradicts each intent that says so); the clocks never go back.
//!
//! Departures from the original, on purpose: a pruned member that is still leaving is erased by a deadline
//! instead of a sleep that holds the whole membership, and only once SWIM holds it for gone: one that was
//! erased while SWIM holds it for alive would never be known again; a member contradicts a later intent
//! about itself also when it comes in a push/pull (see `exchange`);
//! a queue is cut when it grows too long instead of each 30 s.
//!
//! What is not here: coalescing of events and the resolution of name conflicts, which Consul turns off,
//! the keyring (its queries go to the application), and all bytes.

mod clock;
mod config;
mod delegate;
mod events;
mod exchange;
mod filter;
mod intents;
mod leave;
pub mod log_line;
mod members;
mod queries;
mod queue;
mod reaper;
mod recorder;
mod replay;
mod ring;
mod types;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use crate::base::{Faults, Instant, NodeName, Prng, RequestId};
use crate::gossip::coordinate::Coordinates;
use crate::gossip::event::Event;
use crate::gossip::io::{Admission, Codec, MemberEvent, MemberEventKind, MemberView, Status};
use crate::gossip::message::{Coordinate, LamportTime, Message, SerfMessage, Tags};
use crate::gossip::pool_io;
use crate::gossip::swim::{META_MAX_BYTES, Node};
use clock::Clock;
use members::{Member, Members};
use queue::{Broadcasts, Kind, Notice};

pub use config::Config;
pub use log_line::log_line;
pub use replay::{Previous, parse};
pub use types::{Input, Output, Question};

/// What was once asked of SWIM under a token.
#[derive(Debug)]
enum Joining {
    /// The application's own.
    Requested { request: RequestId, ignore_old: bool },
    /// Towards those that the snapshot names.
    Rejoin { node: NodeName, addr: SocketAddr },
    /// Towards a failed member.
    Reconnect,
}

/// One member of a pool, above SWIM.
#[derive(Debug)]
pub struct Serf {
    config: Config,
    codec: Codec,
    admission: Box<dyn Admission>,
    prng: Prng,
    members: Members,
    clock: Clock,
    event_clock: Clock,
    query_clock: Clock,
    intents: intents::Buffer,
    events: events::Ring,
    queries: queries::Queries,
    broadcasts: Broadcasts,
    leave: leave::Leave,
    forcing: Vec<leave::Forcing>,
    reaper: reaper::Reaper,
    recorder: Option<recorder::Recorder>,
    coordinates: Coordinates,
    joins: BTreeMap<RequestId, Joining>,
    next_token: u64,
    to_rejoin: VecDeque<(NodeName, SocketAddr)>,
    /// Claims of a name that were reported: each once.
    conflicts: BTreeSet<(NodeName, SocketAddr)>,
    faults: Faults,
}

/// Reported conflicts that are remembered, at most.
const CONFLICTS_MAX: usize = 128;

/// The clocks' readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// Of intents.
    pub member: LamportTime,
    /// Of user events.
    pub event: LamportTime,
    /// Of queries.
    pub query: LamportTime,
}

/// Lengths of the broadcast queues, and counts of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// All that are remembered.
    pub members: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that left.
    pub left: usize,
    /// Intents to pass on.
    pub intent_queue: usize,
    /// User events to pass on.
    pub event_queue: usize,
    /// Queries to pass on.
    pub query_queue: usize,
}

impl Serf {
    /// A member that starts, with what its snapshot says of its last life. Outputs: the attempt to reach
    /// those whom it knew.
    #[must_use]
    pub fn new(
        config: Config,
        codec: Codec,
        admission: Box<dyn Admission>,
        previous: Previous,
        prng: &Prng,
        now: Instant,
        out: &mut Vec<Output>,
    ) -> Self {
        let recorder = config
            .snapshot
            .then(|| recorder::Recorder::new(&previous, config.snapshot_min_bytes, now));
        let from_event =
            LamportTime(previous.event_clock.map_or(0, |time| time.0.saturating_add(1)));
        let from_query =
            LamportTime(previous.query_clock.map_or(0, |time| time.0.saturating_add(1)));
        let mut serf = Self {
            events: events::Ring::new(config.buffer_slots, from_event),
            queries: queries::Queries::new(config.buffer_slots, from_query),
            reaper: reaper::Reaper::new(now),
            recorder,
            coordinates: Coordinates::new(prng.fork("coordinates")),
            prng: prng.fork("serf"),
            config,
            codec,
            admission,
            members: Members::default(),
            clock: Clock::new(),
            event_clock: Clock::new(),
            query_clock: Clock::new(),
            intents: intents::Buffer::default(),
            broadcasts: Broadcasts::default(),
            leave: leave::Leave::Not,
            forcing: Vec::new(),
            joins: BTreeMap::new(),
            next_token: 1,
            to_rejoin: VecDeque::new(),
            conflicts: BTreeSet::new(),
            faults: Faults::none(),
        };
        serf.clock.witness(previous.clock.unwrap_or_default());
        serf.event_clock.witness(previous.event_clock.unwrap_or_default());
        serf.query_clock.witness(previous.query_clock.unwrap_or_default());
        if previous.ignored_leave {
            inform(out, "Ignoring previous leave in snapshot".to_owned());
        }
        for text in &previous.remarks {
            warn(out, text.clone());
        }
        serf.begin_rejoin(previous.alive, out);
        serf
    }

    /// With these planted bugs.
    #[must_use]
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Takes one input; what follows is added to `out`.
    pub fn step(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Wake => {}
            Input::NodeJoined(node) => self.node_joined(&node, out),
            Input::NodeLeft(node) => self.node_left(now, &node, out),
            Input::NodeUpdated(node) => self.node_updated(&node, out),
            Input::NodeConflict { existing, other } => self.node_conflict(&existing, other, out),
            Input::Message(message) => self.message(now, message, out),
            Input::State { state, join } => self.merge(now, &state, join, out),
            Input::Probed { node, round_trip, payload } => {
                self.probed(&node, round_trip, payload.as_deref(), out);
            }
            Input::Joined { token, report } => self.joined(now, token, report, out),
            Input::SwimLeft { heard } => self.swim_left(now, heard, out),
            Input::Join { request, addresses, ignore_old } => {
                self.join(request, addresses, ignore_old, out);
            }
            Input::SetTags(tags) => self.set_tags(tags, out),
            Input::Leave => self.begin_leave(now, out),
            Input::ForceLeave { request, node, prune } => {
                self.force_leave(now, request, &node, prune, out);
            }
            Input::UserEvent { request, name, payload, coalesce } => {
                let result = self.fire(name, payload, coalesce, out);
                out.push(Output::Out(pool_io::Output::Done { request, result }));
            }
            Input::Query(question) => self.ask(now, question, out),
            Input::Respond { query, payload } => self.respond(now, query, payload, out),
        }
        for notice in self.broadcasts.take_finished() {
            match notice {
                Notice::Leave => self.announced(true, out),
                Notice::ForceLeave(request) => self.forced(request, Ok(()), out),
            }
        }
        self.advance_leave(now, out);
        self.expire_forcing(now, out);
        self.reap(now, out);
        self.reconnect(now, out);
        self.close_queries(now, out);
        self.record(now, out);
    }

    /// When [`Input::Wake`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let recorder = self.recorder.as_ref().and_then(|recorder| recorder.deadline());
        let forcing = self.forcing.iter().map(|forcing| forcing.deadline).min();
        [self.leave.deadline(), forcing, self.reaper.deadline(), self.queries.deadline(), recorder]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether a broadcast that somebody waits for has left its queue: step with [`Input::Wake`] then.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        self.broadcasts.has_finished() || self.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// Every member that is remembered, by name.
    pub fn members(&self) -> impl ExactSizeIterator<Item = &MemberView> {
        self.members.iter().map(|member| &member.view)
    }

    /// One member.
    #[must_use]
    pub fn member(&self, name: &NodeName) -> Option<&MemberView> {
        self.members.get(name).map(|member| &member.view)
    }

    /// Time of the last intent about a member.
    #[must_use]
    pub fn status_time(&self, name: &NodeName) -> Option<LamportTime> {
        self.members.get(name).map(|member| member.status_time)
    }

    /// The clocks.
    #[must_use]
    pub fn clocks(&self) -> Clocks {
        let (member, event) = (self.clock.time(), self.event_clock.time());
        Clocks { member, event, query: self.query_clock.time() }
    }

    /// For `info`.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let [intent_queue, query_queue, event_queue] = self.broadcasts.lengths();
        Counts {
            members: self.members.len(),
            failed: self.members.failed().len(),
            left: self.members.left().len(),
            intent_queue,
            event_queue,
            query_queue,
        }
    }

    /// Our coordinate.
    #[must_use]
    pub fn coordinate(&self) -> &Coordinate {
        self.coordinates.own()
    }

    /// The coordinate that a member last sent; our own under our name.
    #[must_use]
    pub fn coordinate_of(&self, name: &NodeName) -> Option<&Coordinate> {
        if *name == self.config.name { Some(self.coordinate()) } else { self.coordinates.of(name) }
    }

    /// How often the coordinate was reset.
    #[must_use]
    pub fn coordinate_resets(&self) -> u64 {
        self.coordinates.resets()
    }

    /// Our tags.
    #[must_use]
    pub fn tags(&self) -> &Tags {
        &self.config.tags
    }

    /// Whether it has left, or is about to.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        !self.leave.is_not()
    }

    /// Panics when an invariant is broken. Looks at every member.
    pub fn check_invariants(&self) {
        self.members.check_invariants(self.clock.time());
        self.events.check_invariants(self.event_clock.time());
        self.queries.check_invariants(self.query_clock.time());
        self.coordinates.check_invariants();
        let own = self.members.get(&self.config.name).map(|own| own.view.status);
        crate::invariant!(
            self.is_leaving() || own.is_none_or(|status| status == Status::Alive),
            "this member stays, but holds itself for {own:?}"
        );
    }

    fn message(&mut self, now: Instant, message: SerfMessage, out: &mut Vec<Output>) {
        let (kind, is_new) = match &message {
            SerfMessage::Leave { time, node, prune } => {
                (Kind::Intent, self.leave_intent(now, node, *time, *prune, out))
            }
            SerfMessage::Join { time, node } => (Kind::Intent, self.join_intent(now, node, *time)),
            SerfMessage::UserEvent(event) => (Kind::Event, self.hear_event(event, out)),
            SerfMessage::Query(query) => (Kind::Query, self.hear_query(now, query, out)),
            SerfMessage::QueryResponse(answer) => return self.hear_answer(answer, out),
            SerfMessage::Relay(relay) => {
                let message = (*relay.message).clone();
                out.push(Output::Send { to: relay.to, message });
                return;
            }
        };
        if is_new {
            self.broadcast(kind, message, None);
        }
    }

    /// Passes on, or says for the first time.
    fn broadcast(&mut self, kind: Kind, message: SerfMessage, notice: Option<Notice>) {
        let message = Message::User(message);
        let bytes = (self.codec.message_len)(&message);
        let Message::User(message) = message else { return };
        let depth = self.config.queue_depth_min.max(2 * self.members.len());
        self.broadcasts.push(kind, message, bytes, notice, depth);
    }

    /// Bytes of a message without memberlist's type byte: what Serf's limits speak of.
    fn encoded_len(&self, message: SerfMessage) -> usize {
        (self.codec.message_len)(&Message::User(message)).saturating_sub(1)
    }

    fn token(&mut self) -> RequestId {
        let token = RequestId(self.next_token);
        self.next_token += 1;
        token
    }

    fn set_tags(&mut self, tags: Tags, out: &mut Vec<Output>) {
        match check_tags(&self.codec, &tags) {
            Ok(meta) => {
                self.config.tags = tags;
                out.push(Output::SetMeta(meta));
            }
            Err(text) => warn(out, text),
        }
    }
}

/// The encoded form of tags.
///
/// # Errors
/// Serf's text, when they are too many.
pub fn check_tags(codec: &Codec, tags: &Tags) -> Result<bytes::Bytes, String> {
    let meta = (codec.encode_tags)(tags);
    if meta.len() > META_MAX_BYTES { Err(TAGS_TOO_LONG.to_owned()) } else { Ok(meta) }
}

const TAGS_TOO_LONG: &str = "Encoded length of tags exceeds limit of 512 bytes";

/// Tells the application, and the log.
fn tell(member: &Member, kind: MemberEventKind, forced: bool, out: &mut Vec<Output>) {
    let MemberView { name, addr, .. } = &member.view;
    let fact =
        Event::Member { kind, forced, node: name.clone(), addr: *addr, time: member.status_time };
    out.push(Output::Out(pool_io::Output::Event(fact)));
    let event = MemberEvent { kind, forced, member: member.view.clone() };
    out.push(Output::Out(pool_io::Output::Member(event)));
}

fn warn(out: &mut Vec<Output>, text: String) {
    out.push(Output::Out(pool_io::Output::Event(Event::Warning { module: "serf", text })));
}

fn inform(out: &mut Vec<Output>, text: String) {
    out.push(Output::Out(pool_io::Output::Event(Event::Information { module: "serf", text })));
}
