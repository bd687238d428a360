//! Members of one gossip pool in one process: a network that loses, doubles, delays and cuts, and a
//! judge that looks after every step.
//!
//! What the judge holds against every member, whatever the network does: its own invariants; no
//! incarnation that goes back while a name stays known at one address; no suspicion that ends before its
//! minimum; what those above have heard (joined, left) is what the member knows; datagrams within their
//! bound; one broadcast a name.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use proconsul::base::prng::Ratio;
use proconsul::base::{Duration, Faults, Instant, NodeName, Prng, RequestId};
use proconsul::gossip::swim::{BroadcastQueue, Config, Delegate, Input, Output, Swim};
use proconsul::gossip::{
    Codec, Event, ExchangeId, Incarnation, MemberState, Message, NodeState, Ping, PushPull,
    SequenceNumber, SerfMessage, SerfState, Tags,
};

use crate::swim_describe::{describe_output, message_len};

/// How long the network keeps things.
pub struct Network {
    pub loss: Ratio,
    pub doubling: Ratio,
    pub latency: (Duration, Duration),
    /// From the first host to the second nothing goes: datagrams, streams.
    pub cut_datagrams: BTreeSet<(usize, usize)>,
    pub cut_streams: BTreeSet<(usize, usize)>,
}

/// What is under way.
enum Flight {
    Packet { from: SocketAddr, messages: Vec<Message> },
    PushPull { from: usize, life: u64, exchange: ExchangeId, state: PushPull },
    PushPulled { life: u64, exchange: ExchangeId, result: Result<PushPull, String> },
    StreamPing { from: usize, life: u64, exchange: ExchangeId, ping: Ping },
    StreamPinged { life: u64, exchange: ExchangeId, result: Result<(), String> },
}

/// The layer above, in small: broadcasts of its own, and what it has heard.
#[derive(Default)]
pub struct Above {
    pub queue: BroadcastQueue<SerfMessage>,
    pub present: BTreeSet<NodeName>,
    pub refused: Option<NodeName>,
}

impl Delegate for Above {
    fn broadcasts(&mut self, overhead: usize, limit: usize) -> Vec<SerfMessage> {
        let mut drawn = Vec::new();
        self.queue.draw(overhead, limit, 3, |message, _| drawn.push(message.clone()));
        drawn
    }

    fn has_broadcasts(&self) -> bool {
        !self.queue.is_empty()
    }

    fn local_state(&self, _: bool) -> SerfState {
        SerfState::default()
    }

    fn ack_payload(&self) -> Bytes {
        Bytes::from_static(b"here")
    }

    fn admit(&self, nodes: &[NodeState]) -> Result<(), String> {
        match nodes.iter().find(|node| Some(&node.node) == self.refused.as_ref()) {
            Some(node) => Err(format!("Member '{}' is not wanted", node.node)),
            None => Ok(()),
        }
    }
}

pub struct Host {
    pub name: NodeName,
    pub addr: SocketAddr,
    pub swim: Option<Swim>,
    pub above: Above,
    pub life: u64,
    pub ended: Vec<Output>,
    wake: Option<Instant>,
    /// What it knew, for comparison: address and incarnation of each.
    known: BTreeMap<NodeName, (SocketAddr, Incarnation)>,
    suspected: BTreeMap<NodeName, (Instant, Duration)>,
}

pub struct Cluster {
    pub now: Instant,
    pub hosts: Vec<Host>,
    pub network: Network,
    pub transcript: Vec<String>,
    /// Whether datagrams are written down too.
    pub loud: bool,
    pub steps: u64,
    /// A large pool is looked at, and written down, only now and then: once in so many steps.
    pub judge_every: u64,
    tune: fn(Config) -> Config,
    flying: BTreeMap<(Instant, u64), (usize, Flight)>,
    sent: u64,
    wakes: BTreeSet<(Instant, usize)>,
    by_addr: BTreeMap<SocketAddr, usize>,
    /// Who waits for the reply to an exchange that it began: by the answerer's name for it.
    asked: BTreeMap<(usize, ExchangeId), (usize, u64, ExchangeId)>,
    draws: Prng,
}

pub fn addr_of(number: usize) -> SocketAddr {
    let (high, low) = ((number / 250) as u8, (number % 250) as u8);
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, high, low)), 8301)
}

impl Cluster {
    /// So many hosts, nothing started; `tune` changes the LAN preset.
    pub fn new(count: usize, seed: u64, tune: fn(Config) -> Config) -> Self {
        let host = |at: usize| Host {
            name: NodeName::from(format!("n{}", at + 1)),
            addr: addr_of(at + 1),
            swim: None,
            above: Above::default(),
            life: 0,
            ended: Vec::new(),
            wake: None,
            known: BTreeMap::new(),
            suspected: BTreeMap::new(),
        };
        Self {
            now: Instant::ZERO,
            hosts: (0..count).map(host).collect(),
            network: Network {
                loss: Ratio::ZERO,
                doubling: Ratio::ZERO,
                latency: (Duration::from_millis(1), Duration::from_millis(2)),
                cut_datagrams: BTreeSet::new(),
                cut_streams: BTreeSet::new(),
            },
            transcript: Vec::new(),
            loud: false,
            steps: 0,
            judge_every: 1,
            tune,
            flying: BTreeMap::new(),
            sent: 0,
            wakes: BTreeSet::new(),
            by_addr: (0..count).map(|at| (addr_of(at + 1), at)).collect(),
            asked: BTreeMap::new(),
            draws: Prng::new(seed),
        }
    }

    /// The label of whoever is there.
    pub fn label(&self, addr: SocketAddr) -> String {
        self.by_addr.get(&addr).map_or(addr.to_string(), |at| self.hosts[*at].name.to_string())
    }

    /// Gives a host another address; only while it is down.
    pub fn readdress(&mut self, at: usize, addr: SocketAddr) {
        self.by_addr.remove(&self.hosts[at].addr);
        self.by_addr.insert(addr, at);
        self.hosts[at].addr = addr;
    }

    pub fn start(&mut self, at: usize, change: impl FnOnce(&mut Config)) {
        let codec = Codec {
            message_len,
            encode_tags: |_| Bytes::new(),
            decode_tags: |_| Tags::default(),
            encode_coordinate: |_| Bytes::new(),
            decode_coordinate: |_| None,
            encode_conflict: |_| Bytes::new(),
        };
        let now = self.now;
        let host = &mut self.hosts[at];
        host.life += 1;
        host.above = Above::default();
        host.known.clear();
        host.suspected.clear();
        host.ended.clear();
        let mut config = (self.tune)(Config::lan(host.name.clone(), host.addr, codec));
        change(&mut config);
        let prng = self.draws.fork(&format!("{} {}", at, host.life));
        let mut out = Vec::new();
        host.swim = Some(Swim::new(config, prng, Faults::none(), now, &mut out));
        self.take(at, out);
    }

    /// Power off: nothing is said, nothing is kept.
    pub fn crash(&mut self, at: usize) {
        self.hosts[at].swim = None;
        if let Some(wake) = self.hosts[at].wake.take() {
            self.wakes.remove(&(wake, at));
        }
    }

    pub fn swim(&self, at: usize) -> &Swim {
        self.hosts[at].swim.as_ref().expect("it runs")
    }

    pub fn join(&mut self, at: usize, to: &[SocketAddr]) {
        let addresses = to.to_vec();
        self.step(at, Input::Join { request: RequestId(self.steps), addresses });
    }

    pub fn step(&mut self, at: usize, input: Input) {
        let now = self.now;
        let host = &mut self.hosts[at];
        let Some(swim) = &mut host.swim else { return };
        let mut out = Vec::new();
        swim.step(now, input, &mut host.above, &mut out);
        self.steps += 1;
        self.take(at, out);
    }

    fn take(&mut self, at: usize, out: Vec<Output>) {
        for output in out {
            let told = self.loud || !matches!(output, Output::Packet { .. });
            let told = told && self.judge_every == 1;
            if let Some(text) = told.then(|| describe_output(self, &output)).flatten() {
                let line = format!("{:?} {}: {text}", self.now, self.hosts[at].name);
                self.transcript.push(line);
            }
            self.judge_output(at, &output);
            self.carry_out(at, output);
        }
        if self.steps.is_multiple_of(self.judge_every) {
            self.judge(at);
        }
        let host = &mut self.hosts[at];
        let wake = host.swim.as_ref().and_then(Swim::deadline);
        if wake != host.wake {
            if let Some(old) = host.wake {
                self.wakes.remove(&(old, at));
            }
            self.wakes.extend(wake.map(|wake| (wake, at)));
            host.wake = wake;
        }
    }

    fn carry_out(&mut self, at: usize, output: Output) {
        let from = self.hosts[at].addr;
        let life = self.hosts[at].life;
        match output {
            Output::Packet { to, messages, .. } => {
                let Some(&target) = self.by_addr.get(&to) else { return };
                let cut = self.network.cut_datagrams.contains(&(at, target));
                if cut || self.draws.chance(self.network.loss) {
                    return;
                }
                let copies = if self.draws.chance(self.network.doubling) { 2 } else { 1 };
                for _ in 0..copies {
                    self.fly(target, Flight::Packet { from, messages: messages.clone() });
                }
            }
            Output::PushPull { exchange, to, state } => match self.connect(at, to) {
                Some(to) => self.fly(to, Flight::PushPull { from: at, life, exchange, state }),
                None => {
                    let result = Err("connection refused".to_owned());
                    self.fly(at, Flight::PushPulled { life, exchange, result });
                }
            },
            Output::PushPullReply { exchange, state } => {
                let (asker, life, theirs) = self.asked.remove(&(at, exchange)).expect("asked");
                let result = Ok(state);
                self.fly(asker, Flight::PushPulled { life, exchange: theirs, result });
            }
            Output::StreamPing { exchange, to, ping, .. } => match self.connect(at, to) {
                Some(to) => self.fly(to, Flight::StreamPing { from: at, life, exchange, ping }),
                None => {
                    let result = Err(String::new());
                    self.fly(at, Flight::StreamPinged { life, exchange, result });
                }
            },
            Output::StreamPong { exchange, ack } => {
                let (asker, life, theirs) = self.asked.remove(&(at, exchange)).expect("asked");
                let result = ack.map(|_: SequenceNumber| ()).ok_or("EOF".to_owned());
                self.fly(asker, Flight::StreamPinged { life, exchange: theirs, result });
            }
            ended => self.hosts[at].ended.push(ended),
        }
    }

    fn connect(&self, from: usize, to: SocketAddr) -> Option<usize> {
        let target = *self.by_addr.get(&to)?;
        let cuts = &self.network.cut_streams;
        let cut = cuts.contains(&(from, target)) || cuts.contains(&(target, from));
        (!cut && self.hosts[target].swim.is_some()).then_some(target)
    }

    fn fly(&mut self, to: usize, flight: Flight) {
        let (low, high) = self.network.latency;
        let due = self.now + self.draws.duration(low, high);
        self.sent += 1;
        self.flying.insert((due, self.sent), (to, flight));
    }

    /// Lets time pass.
    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.advance(end) {}
        self.now = end;
    }

    /// Runs until this holds, for so long at most.
    pub fn run_until(&mut self, span: Duration, holds: impl Fn(&Cluster) -> bool) -> bool {
        let end = self.now + span;
        while !holds(self) {
            if !self.advance(end) {
                self.now = end;
                return holds(self);
            }
        }
        true
    }

    /// The next thing that happens, if it does before then.
    fn advance(&mut self, end: Instant) -> bool {
        let flight = self.flying.keys().next().map(|key| key.0);
        let wake = self.wakes.first().copied();
        let next = flight.into_iter().chain(wake.map(|wake| wake.0)).min();
        let Some(next) = next.filter(|next| *next <= end) else { return false };
        self.now = self.now.max(next);
        if let Some((_, at)) = wake.filter(|wake| wake.0 <= next) {
            self.step(at, Input::Wake);
        } else if let Some((_, (to, flight))) = self.flying.pop_first() {
            self.arrive(to, flight);
        }
        true
    }

    fn arrive(&mut self, to: usize, flight: Flight) {
        let life_now = self.hosts[to].life;
        match flight {
            Flight::Packet { from, messages } => self.step(to, Input::Packet { from, messages }),
            Flight::PushPull { from, life, exchange, state } => {
                let asker = self.hosts[from].addr;
                let name = self.name_exchange(to, (from, life, exchange));
                self.step(to, Input::PushPull { exchange: name, from: asker, state });
            }
            Flight::StreamPing { from, life, exchange, ping } => {
                let name = self.name_exchange(to, (from, life, exchange));
                self.step(to, Input::StreamPing { exchange: name, ping });
            }
            Flight::PushPulled { life, exchange, result } if life == life_now => {
                self.step(to, Input::PushPulled { exchange, result });
            }
            Flight::StreamPinged { life, exchange, result } if life == life_now => {
                self.step(to, Input::StreamPinged { exchange, result });
            }
            Flight::PushPulled { .. } | Flight::StreamPinged { .. } => {}
        }
    }

    fn name_exchange(&mut self, at: usize, asker: (usize, u64, ExchangeId)) -> ExchangeId {
        let name = ExchangeId(2 * self.sent + 1);
        self.sent += 1;
        self.asked.insert((at, name), asker);
        name
    }

    /// Somebody whom nobody knows begins an exchange; the answer is thrown away.
    pub fn push_pull_from_nobody(&mut self, at: usize, state: PushPull) {
        let exchange = self.name_exchange(at, (at, 0, ExchangeId(0)));
        self.step(at, Input::PushPull { exchange, from: addr_of(240), state });
    }

    fn judge_output(&mut self, at: usize, output: &Output) {
        let host = &mut self.hosts[at];
        let now = self.now;
        match output {
            Output::Packet { messages, .. } => {
                let bytes: usize = messages.iter().map(|message| 2 + message_len(message)).sum();
                assert!(2 + bytes <= 1400, "a datagram of {bytes} bytes");
            }
            Output::NodeJoined(node) => {
                assert!(host.above.present.insert(node.name.clone()), "{} joins twice", node.name);
            }
            Output::NodeLeft(node) => {
                assert!(host.above.present.remove(&node.name), "{} leaves twice", node.name);
            }
            Output::Event(Event::SuspicionStarted { node, min, .. }) => {
                host.suspected.insert(node.clone(), (now, *min));
            }
            Output::Event(Event::MarkedFailed { node, .. }) => {
                let (since, min) = host.suspected[node];
                assert!(now.since(since) >= min, "{node} failed too soon");
            }
            _ => {}
        }
    }

    fn judge(&mut self, at: usize) {
        // Our address counts as a name; garbage brings two more.
        let names = self.hosts.len() + 3;
        let host = &mut self.hosts[at];
        let Some(swim) = &host.swim else { return };
        swim.check_invariants();
        assert!(swim.queued() <= names, "{} broadcasts", swim.queued());
        let mut known = BTreeMap::new();
        let mut present = 0;
        for node in swim.members() {
            if let Some((addr, incarnation)) = host.known.get(&node.name) {
                let back = node.incarnation < *incarnation && node.addr == *addr;
                assert!(!back, "{}: {} goes back to {}", host.name, node.name, node.incarnation);
            }
            known.insert(node.name.clone(), (node.addr, node.incarnation));
            if matches!(node.state, MemberState::Alive | MemberState::Suspect) {
                present += 1;
                assert!(host.above.present.contains(&node.name), "{} was not told", node.name);
            }
        }
        assert_eq!(present, host.above.present.len(), "somebody was lost");
        host.known = known;
    }

    /// Whether all that run know all that run as alive, and nobody else.
    pub fn agrees(&self) -> bool {
        let running = || self.hosts.iter().filter(|host| host.swim.is_some());
        let count = running().count();
        running().all(|host| {
            host.swim.as_ref().is_some_and(|swim| {
                let known = |other: &Host| {
                    swim.node(&other.name).is_some_and(|node| {
                        node.state == MemberState::Alive && node.addr == other.addr
                    })
                };
                swim.num_alive() == count && running().all(known)
            })
        })
    }
}
