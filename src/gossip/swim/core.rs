//! The core itself: what a member knows, its one way in, and when it must be woken.
//!
//! Timers fire on [`Input::Wake`] alone, all that are due, in order. Periodic tasks are armed at the end
//! of each step and only while they have something to do: without other members nothing is probed, and
//! without broadcasts there is no round of gossip. Each runs on its own grid, which begins at a random
//! part of its interval, so that members started together do not speak together.
//!
//! Cost of a step: that of the messages in it, times the logarithm of the pool; only an exchange of
//! whole states, and the shuffle at the end of a pass of probes, cost as much as there are members.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;

use crate::base::{Faults, Instant, NodeName, Prng, RequestId};
use crate::gossip::event::Event;
use crate::gossip::io::{ExchangeId, JoinReport};
use crate::gossip::message::{Alive, Incarnation, MemberState, Message, SequenceNumber, Versions};
use crate::gossip::swim::Delegate;
use crate::gossip::swim::awareness::Awareness;
use crate::gossip::swim::broadcast_queue::BroadcastQueue;
use crate::gossip::swim::formulas::push_pull_interval;
use crate::gossip::swim::probe::{Probe, Relay};
use crate::gossip::swim::roster::Roster;
use crate::gossip::swim::timers::{Ticker, Timer, TimerKey, Timers};
use crate::gossip::swim::types::{Config, Input, META_MAX_BYTES, Node, Output};

/// Deep invariants are checked once in so many steps.
const DEEP_CHECK_STEPS: u64 = 256;

/// What a step works with.
pub(super) struct Turn<'a> {
    pub(super) now: Instant,
    pub(super) delegate: &'a mut dyn Delegate,
    pub(super) out: &'a mut Vec<Output>,
}

impl Turn<'_> {
    pub(super) fn event(&mut self, event: Event) {
        self.out.push(Output::Event(event));
    }

    pub(super) fn warn(&mut self, text: String) {
        self.event(Event::Warning { module: "memberlist", text });
    }

    pub(super) fn inform(&mut self, text: String) {
        self.event(Event::Information { module: "memberlist", text });
    }
}

/// What waits for a broadcast to have been sent often enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiter {
    Leave,
    Meta,
}

/// One broadcast of our own queue.
#[derive(Debug)]
pub(super) struct Broadcast {
    pub(super) message: Message,
    pub(super) waiter: Option<Waiter>,
}

/// What an exchange of states is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// One address of a join, with those that follow.
    Join { request: RequestId, at: SocketAddr, rest: VecDeque<SocketAddr>, report: JoinReport },
    /// The periodic one, with this member.
    Periodic(NodeName),
}

/// Random streams: one for each task, so that they do not move each other's draws.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) order: Prng,
    pub(super) probe: Prng,
    pub(super) gossip: Prng,
    pub(super) push_pull: Prng,
}

/// One member's memberlist.
#[derive(Debug)]
pub struct Swim {
    pub(super) config: Config,
    pub(super) faults: Faults,
    pub(super) streams: Streams,
    pub(super) roster: Roster,
    pub(super) incarnation: Incarnation,
    pub(super) sequence: SequenceNumber,
    pub(super) awareness: Awareness,
    pub(super) broadcasts: BroadcastQueue<Broadcast>,
    pub(super) timers: Timers,
    pub(super) probe_ticks: Ticker,
    /// When the last probe began, or when there was last nobody to probe.
    pub(super) probe_since: Instant,
    pub(super) probe_index: usize,
    pub(super) probe: Option<Probe>,
    pub(super) relays: BTreeMap<SequenceNumber, Relay>,
    pub(super) gossip_ticks: Ticker,
    push_pull_at: Instant,
    push_pull_armed: Option<TimerKey>,
    pub(super) exchanges: BTreeMap<ExchangeId, Purpose>,
    last_exchange: ExchangeId,
    /// We have said goodbye.
    pub(super) leaving: bool,
    pub(super) leave_wait: Option<TimerKey>,
    pub(super) meta_wait: Option<TimerKey>,
    steps: u64,
}

impl Swim {
    /// A member of a pool of one. It joins itself: [`Output::NodeJoined`].
    ///
    /// # Panics
    /// When the meta is too long.
    #[must_use]
    pub fn new(
        config: Config,
        prng: Prng,
        faults: Faults,
        now: Instant,
        out: &mut Vec<Output>,
    ) -> Self {
        crate::invariant!(config.meta.len() <= META_MAX_BYTES, "meta of {}", config.meta.len());
        let mut streams = Streams {
            order: prng.fork("order"),
            probe: prng.fork("probe"),
            gossip: prng.fork("gossip"),
            push_pull: prng.fork("push/pull"),
        };
        let zero = std::time::Duration::ZERO;
        let probe_first = now + streams.probe.duration(zero, config.probe_interval);
        let gossip_first = now + streams.gossip.duration(zero, config.gossip_interval);
        let stagger = streams.push_pull.duration(zero, config.push_pull_interval);
        let mut swim = Self {
            streams,
            roster: Roster::default(),
            incarnation: Incarnation(1),
            sequence: SequenceNumber(0),
            awareness: Awareness::new(config.awareness_max_multiplier),
            broadcasts: BroadcastQueue::default(),
            timers: Timers::default(),
            probe_ticks: Ticker::new(probe_first, config.probe_interval),
            probe_since: now,
            probe_index: 0,
            probe: None,
            relays: BTreeMap::new(),
            gossip_ticks: Ticker::new(gossip_first, config.gossip_interval),
            push_pull_at: now + stagger + config.push_pull_interval,
            push_pull_armed: None,
            exchanges: BTreeMap::new(),
            last_exchange: ExchangeId(0),
            leaving: false,
            leave_wait: None,
            meta_wait: None,
            steps: 0,
            config,
            faults,
        };
        swim.begin(now, out);
        swim
    }

    /// Our own first word.
    fn begin(&mut self, now: Instant, out: &mut Vec<Output>) {
        let node = Node {
            name: self.config.name.clone(),
            addr: self.config.addr,
            meta: self.config.meta.clone(),
            versions: Some(self.config.versions),
            incarnation: self.incarnation,
            state: MemberState::Alive,
            changed: now,
        };
        self.roster.insert(node.clone(), &mut self.streams.order);
        let message = Message::Alive(alive_of(&node));
        let len = (self.config.codec.message_len)(&message);
        self.broadcasts.push(Some(node.name.clone()), len, Broadcast { message, waiter: None });
        out.push(Output::Event(Event::StateChanged {
            node: node.name.clone(),
            addr: node.addr,
            from: None,
            to: MemberState::Alive,
            incarnation: node.incarnation,
        }));
        out.push(Output::NodeJoined(node));
    }

    /// The one way in.
    pub fn step(
        &mut self,
        now: Instant,
        input: Input,
        delegate: &mut dyn Delegate,
        out: &mut Vec<Output>,
    ) {
        let turn = &mut Turn { now, delegate, out };
        match input {
            Input::Wake => {
                while let Some(timer) = self.timers.pop(now) {
                    self.fire(timer, turn);
                    // A task that is behind gets its next tick now, not in a step of its own.
                    self.arm(turn);
                }
            }
            Input::Packet { from, messages } => self.take_packet(from, messages, turn),
            Input::PushPull { exchange, from, state } => {
                self.answer_push_pull(exchange, from, state, turn);
            }
            Input::PushPulled { exchange, result } => self.push_pulled(exchange, result, turn),
            Input::StreamPing { exchange, ping } => self.stream_ping(exchange, &ping, turn),
            Input::StreamPinged { exchange, result } => self.stream_pinged(exchange, result, turn),
            Input::Join { request, addresses } => {
                self.join(request, addresses.into(), JoinReport::default(), turn);
            }
            Input::SetMeta(meta) => self.set_meta(meta, turn),
            Input::Leave => self.leave(turn),
            Input::SendTo { to, message } => {
                let messages = vec![Message::User(message)];
                turn.out.push(Output::Packet { to, messages, checksum: false });
            }
            Input::BroadcastsQueued => {}
        }
        self.arm(turn);
        self.check_step();
    }

    fn fire(&mut self, timer: Timer, turn: &mut Turn<'_>) {
        match timer {
            Timer::Probe => {
                self.probe_ticks.armed = None;
                self.begin_probe(turn);
            }
            Timer::Gossip => {
                self.gossip_ticks.armed = None;
                self.gossip(turn);
            }
            Timer::PushPull => {
                self.push_pull_armed = None;
                let base = self.config.push_pull_interval;
                self.push_pull_at = turn.now + push_pull_interval(base, self.roster.len());
                self.begin_push_pull(turn);
            }
            Timer::DirectTimeout(sequence) => self.direct_timeout(sequence, turn),
            Timer::ProbeEnd(sequence) => self.probe_unanswered(sequence, turn),
            Timer::RelayEnd(sequence) => self.relay_end(sequence, turn),
            Timer::Suspicion(node) => self.suspicion_over(&node, turn),
            Timer::Leave => {
                self.leave_wait = None;
                turn.out.push(Output::LeaveTimedOut);
            }
            Timer::Meta => {
                self.meta_wait = None;
                turn.out.push(Output::MetaTimedOut);
            }
        }
    }

    /// When to send [`Input::Wake`]; may have passed. None: nothing happens by itself.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.deadline()
    }

    /// Sets the periodic tasks that have something to do, and stops those that have not.
    fn arm(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        let company = self.roster.len() > 1;
        if !company {
            self.probe_since = now;
        }
        // A tick that came while a probe ran is not lost: memberlist's channel holds one.
        let due = self.probe_ticks.after(self.probe_since).max(now);
        let wanted = company && self.probe.is_none();
        arm(&mut self.timers, &mut self.probe_ticks.armed, wanted.then_some(due), Timer::Probe);

        let speaks = !self.broadcasts.is_empty() || turn.delegate.has_broadcasts();
        let due = self.gossip_ticks.after(now);
        let wanted = (company && speaks).then_some(due);
        arm(&mut self.timers, &mut self.gossip_ticks.armed, wanted, Timer::Gossip);

        if company && self.push_pull_armed.is_none() && self.push_pull_at < now {
            let interval = self.config.push_pull_interval;
            self.push_pull_at = Ticker::new(self.push_pull_at, interval).after(now);
        }
        let wanted = company.then_some(self.push_pull_at);
        arm(&mut self.timers, &mut self.push_pull_armed, wanted, Timer::PushPull);
    }

    pub(super) fn next_exchange(&mut self) -> ExchangeId {
        self.last_exchange = ExchangeId(self.last_exchange.0 + 2);
        self.last_exchange
    }

    pub(super) fn next_sequence(&mut self) -> SequenceNumber {
        self.sequence = SequenceNumber(self.sequence.0.wrapping_add(1));
        self.sequence
    }

    /// All that are known, the dead included, in the order of their names.
    pub fn members(&self) -> impl Iterator<Item = &Node> {
        self.roster.by_name()
    }

    /// One of them.
    #[must_use]
    pub fn node(&self, name: &NodeName) -> Option<&Node> {
        self.roster.get(name).map(|member| &member.node)
    }

    /// How many are alive: not suspect, dead or left.
    #[must_use]
    pub fn num_alive(&self) -> usize {
        self.roster.alive()
    }

    /// How many are known, the dead included: `n` in the formulas.
    #[must_use]
    pub fn num_known(&self) -> usize {
        self.roster.len()
    }

    /// How unhealthy we think that we are: 0 is healthy (Lifeguard).
    #[must_use]
    pub fn health_score(&self) -> u32 {
        self.awareness.score()
    }

    /// How many broadcasts of SWIM's own wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.broadcasts.len()
    }

    /// Our own meta.
    #[must_use]
    pub fn meta(&self) -> Bytes {
        self.node(&self.config.name).map(|node| node.meta.clone()).unwrap_or_default()
    }

    /// The cheap invariants after every step, the deep ones now and then.
    fn check_step(&mut self) {
        self.steps += 1;
        self.check_cheap();
        if self.steps.is_multiple_of(DEEP_CHECK_STEPS) {
            self.check_invariants();
        }
    }

    fn check_cheap(&self) {
        let own = self.roster.get(&self.config.name).map(|member| &member.node);
        let Some(own) = own else { panic!("invariant broken: we do not know ourselves") };
        let state = if self.leaving { MemberState::Left } else { MemberState::Alive };
        crate::invariant!(own.state == state, "we see ourselves as {:?}", own.state);
        let counter = self.incarnation;
        crate::invariant!(own.incarnation == counter, "{} is not {counter}", own.incarnation);
        let probing = self.probe.is_some() && self.probe_ticks.armed.is_some();
        crate::invariant!(!probing, "two probes at once");
    }

    /// Checks what must always hold, all of it.
    ///
    /// # Panics
    /// When something does not.
    pub fn check_invariants(&self) {
        self.check_cheap();
        self.roster.check();
        self.broadcasts.check();
        for node in self.roster.nodes() {
            let suspicion = self.roster.get(&node.name).and_then(|it| it.suspicion.as_ref());
            let Some(suspicion) = suspicion else { continue };
            let timer = self.timers.get(suspicion.timer);
            let same = timer == Some(&Timer::Suspicion(node.name.clone()));
            crate::invariant!(same, "the suspicion of {} has no end", node.name);
        }
    }
}

/// Sets, keeps or cancels one timer; one that is set keeps its time.
fn arm(timers: &mut Timers, armed: &mut Option<TimerKey>, wanted: Option<Instant>, timer: Timer) {
    match (wanted, *armed) {
        (Some(at), None) => *armed = Some(timers.set(at, timer)),
        (None, Some(key)) => {
            timers.cancel(key);
            *armed = None;
        }
        _ => {}
    }
}

/// A member in the form in which it is told.
pub(super) fn alive_of(node: &Node) -> Alive {
    Alive {
        incarnation: node.incarnation,
        node: node.name.clone(),
        addr: node.addr.ip(),
        port: node.addr.port(),
        meta: node.meta.clone(),
        versions: node.versions,
    }
}

/// Whether a member understands this version of memberlist's protocol.
pub(super) fn understands(versions: Versions, version: u8) -> bool {
    versions.is_some_and(|versions| versions[1] >= version)
}
