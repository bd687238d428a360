//! A cluster of Raft cores in memory: the network and the disks are lists, and whoever holds the
//! cluster decides what happens next.
//!
//! * A message in flight can be delivered in any order, lost (its caller is told, as the driver's
//!   time limit would) or delivered twice.
//! * A batch on its way to a disk is durable only when it is completed; a crash loses the rest.
//! * Every server has its own clock. Nothing keeps them together but the holder.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use proconsul::base::{
    CallId, Duration, Faults, Instant, LogIndex, Prng, ReplyToken, RequestId, ServerAddress,
};
use proconsul::raft::{
    CallError, Configuration, ConfigurationCodec, Entry, EntryKind, Event, HardState, Input, Lane,
    LegacyMembership, Membership, ModernMembership, Output, PeersCodec, Persist, Proposal, Raft,
    RaftConfig, Request, Response, Restored, Server, Suffrage, bootstrap, describe_output,
};
use proconsul::wire;

use crate::raft_judge::{Judge, Violation};

/// One server: its core while it runs, and its disk.
pub struct Node {
    pub address: ServerAddress,
    pub raft: Option<Raft>,
    pub clock: Instant,
    /// How often it was started.
    pub life: u32,
    /// What is on disk.
    pub hard_state: HardState,
    pub disk: Vec<Entry>,
    /// `peers.json` (legacy).
    pub peers: Option<Vec<ServerAddress>>,
    /// Batches on their way there.
    pub writing: VecDeque<Persist>,
    /// The log in memory, as its events tell it.
    pub log: Vec<Entry>,
    /// The set of servers in force, as its events tell it.
    pub in_force: Configuration,
}

/// What a message carries.
#[derive(Clone)]
pub enum Body {
    Request(Request),
    Response(Result<Response, CallError>),
}

/// A message in flight. It belongs to a call of one life of the caller.
#[derive(Clone)]
pub struct Message {
    pub from: usize,
    pub to: usize,
    pub caller_life: u32,
    pub call: CallId,
    pub lane: Lane,
    pub body: Body,
}

/// A request that a server has taken and not answered.
pub struct Owed {
    pub by: usize,
    pub to: usize,
    pub caller_life: u32,
    pub call: CallId,
    pub lane: Lane,
    pub request: Request,
}

/// Which rules of membership.
#[derive(Clone, Copy, PartialEq)]
pub enum Discipline {
    Modern,
    /// Consul 0.5.2's. Its rules need what a connection gives: appends from one server to another, and
    /// their answers, keep their order, and one that is lost takes all others under way with it.
    Legacy {
        enable_single_node: bool,
    },
}

/// Sizes of a cluster.
#[derive(Clone)]
pub struct Shape {
    pub servers: usize,
    /// How many of them, the last, do not vote.
    pub nonvoters: usize,
    /// How many more there are, after those, that no set names yet.
    pub spares: usize,
    pub discipline: Discipline,
    pub pre_vote: bool,
    pub max_append_entries: usize,
    pub max_inflight: usize,
    pub seed: u64,
    pub faults: Faults,
}

impl Shape {
    pub fn of(servers: usize, seed: u64) -> Self {
        let faults = Faults::none();
        Self {
            servers,
            nonvoters: 0,
            spares: 0,
            discipline: Discipline::Modern,
            pre_vote: false,
            max_append_entries: 64,
            max_inflight: 64,
            seed,
            faults,
        }
    }

    fn address(number: usize) -> ServerAddress {
        format!("n{number}").into()
    }

    fn configuration(&self) -> Configuration {
        let voters = self.servers - self.nonvoters;
        let servers = (1..=self.servers).map(|number| Server {
            suffrage: if number <= voters { Suffrage::Voter } else { Suffrage::Nonvoter },
            id: Self::address(number).as_str().into(),
            address: Self::address(number),
        });
        Configuration { servers: servers.collect() }
    }

    fn membership(&self, me: &ServerAddress) -> Box<dyn Membership> {
        match self.discipline {
            Discipline::Modern => {
                Box::new(ModernMembership::new(me.as_str().into(), CONFIGURATION_CODEC))
            }
            Discipline::Legacy { enable_single_node } => {
                Box::new(LegacyMembership::new(me.clone(), enable_single_node, PEERS_CODEC))
            }
        }
    }
}

const CONFIGURATION_CODEC: ConfigurationCodec = ConfigurationCodec {
    encode: wire::raft::encode_configuration,
    decode: |bytes| wire::raft::decode_configuration(bytes).map_err(|error| error.to_string()),
};

/// A line per address: the real one is `wire`'s.
const PEERS_CODEC: PeersCodec = PeersCodec {
    encode: |peers| {
        let lines: Vec<&str> = peers.iter().map(ServerAddress::as_str).collect();
        lines.join("\n").into()
    },
    decode: |bytes| {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        Ok(text.lines().map(ServerAddress::from).collect())
    },
};

pub struct Cluster {
    pub nodes: Vec<Node>,
    pub messages: Vec<Message>,
    /// A server that no message reaches or leaves.
    pub cut: Option<usize>,
    pub judge: Judge,
    /// What happened, line by line.
    pub transcript: Vec<String>,
    pub(crate) shape: Shape,
    pub(crate) owed: BTreeMap<ReplyToken, Owed>,
    next_token: ReplyToken,
    next_request: RequestId,
}

impl Cluster {
    /// A bootstrapped cluster. Modern: term 1, one configuration entry everywhere. Legacy: a peers file
    /// everywhere. Spare servers have nothing.
    pub fn new(shape: Shape) -> Self {
        let first = shape.configuration();
        let (hard_state, disk) = match shape.discipline {
            Discipline::Modern => bootstrap(wire::raft::encode_configuration(&first)),
            Discipline::Legacy { .. } => (HardState::default(), Vec::new()),
        };
        let file = first.servers.iter().map(|server| server.address.clone()).collect();
        let file = (shape.discipline != Discipline::Modern).then_some::<Vec<_>>(file);
        let nodes = (1..=shape.servers + shape.spares)
            .map(|number| Node {
                address: Shape::address(number),
                raft: None,
                clock: Instant::ZERO,
                life: 0,
                hard_state: hard_state.clone(),
                disk: disk.clone(),
                peers: file.clone(),
                writing: VecDeque::new(),
                log: Vec::new(),
                in_force: Configuration::default(),
            })
            .map(|node| Self::without_disk_if(node, &shape))
            .collect();
        let mut cluster = Self {
            nodes,
            messages: Vec::new(),
            cut: None,
            judge: Judge::default(),
            transcript: Vec::new(),
            shape,
            owed: BTreeMap::new(),
            next_token: ReplyToken(1),
            next_request: RequestId(1),
        };
        for at in 0..cluster.nodes.len() {
            cluster.restart(at).expect("a start breaks nothing");
        }
        cluster
    }

    fn without_disk_if(mut node: Node, shape: &Shape) -> Node {
        if !shape.configuration().servers.iter().any(|server| server.address == node.address) {
            node.hard_state = HardState::default();
            node.disk.clear();
            node.peers = None;
        }
        node
    }

    pub fn find(&self, address: &ServerAddress) -> Option<usize> {
        self.nodes.iter().position(|node| node.address == *address)
    }

    pub fn is_up(&self, at: usize) -> bool {
        self.nodes[at].raft.is_some()
    }

    /// Starts a server from its disk.
    pub fn restart(&mut self, at: usize) -> Result<(), Violation> {
        if self.is_up(at) {
            return Ok(());
        }
        let node = &mut self.nodes[at];
        let membership = self.shape.membership(&node.address);
        node.life += 1;
        let mut config =
            RaftConfig::with_multiplier(node.address.as_str().into(), node.address.clone(), 1)
                .expect("1 is allowed");
        config.max_append_entries = self.shape.max_append_entries;
        config.max_inflight = self.shape.max_inflight;
        config.pre_vote = self.shape.pre_vote;
        let prng = Prng::new(self.shape.seed).fork(&format!("{}/{}", node.address, node.life));
        let restored = Restored {
            hard_state: node.hard_state.clone(),
            entries: node.disk.clone(),
            peers: node.peers.clone(),
            ..Restored::default()
        };
        node.log.clone_from(&node.disk);
        node.in_force = Configuration::default();
        let mut out = Vec::new();
        let faults = self.shape.faults.clone();
        node.raft =
            Some(Raft::new(config, restored, membership, prng, faults, node.clock, &mut out));
        self.judge.started(at);
        self.route(at, out)
    }

    /// Cuts the power: of the batches on their way, the first `kept` are on disk all the same.
    pub fn crash(&mut self, at: usize, kept: usize) {
        if !self.is_up(at) {
            return;
        }
        for _ in 0..kept.min(self.nodes[at].writing.len()) {
            self.write_one(at);
        }
        let node = &mut self.nodes[at];
        node.raft = None;
        node.writing.clear();
        node.log.clear();
        let (hung, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
            std::mem::take(&mut self.owed).into_iter().partition(|(_, owed)| owed.by == at);
        self.owed = others;
        for owed in hung.values() {
            self.answer(owed, Err(CallError::Unreachable));
        }
        if self.keeps_streams() {
            self.end_streams_to(at);
        }
    }

    /// Gives an input to a server that is up, judges and routes what it does.
    pub fn step(&mut self, at: usize, input: Input) -> Result<(), Violation> {
        let node = &mut self.nodes[at];
        let Some(raft) = &mut node.raft else { return Ok(()) };
        let mut out = Vec::new();
        raft.step(node.clock, input, &mut out);
        raft.check_invariants();
        self.route(at, out)
    }

    /// Completes the oldest batch of a server. False when there is none.
    pub fn persist(&mut self, at: usize) -> Result<bool, Violation> {
        if !self.is_up(at) {
            return Ok(false);
        }
        match self.write_one(at) {
            Some(persist) => self.step(at, Input::Persisted(persist.id)).map(|()| true),
            None => Ok(false),
        }
    }

    fn write_one(&mut self, at: usize) -> Option<Persist> {
        let node = &mut self.nodes[at];
        let persist = node.writing.pop_front()?;
        if let Some(hard_state) = &persist.hard_state {
            node.hard_state = hard_state.clone();
        }
        if let Some(from) = persist.truncate_from {
            node.disk.truncate(from.0 as usize - 1);
        }
        node.disk.extend(persist.append.iter().cloned());
        if let Some(peers) = &persist.peers {
            node.peers = Some(peers.clone());
        }
        Some(persist)
    }

    /// Delivers the message at this position, or loses it at the cut.
    pub fn deliver(&mut self, position: usize) -> Result<(), Violation> {
        let position =
            if self.keeps_streams() { self.first_of_stream(position)? } else { position };
        let ends = [Some(self.messages[position].from), Some(self.messages[position].to)];
        if self.cut.is_some() && ends.contains(&self.cut) {
            return self.lose(position);
        }
        let message = self.messages.remove(position);
        let Message { from, to, caller_life, call, lane, body } = message;
        match body {
            Body::Request(request) => {
                let token = self.next_token;
                self.next_token = token.next();
                let owed =
                    Owed { by: to, to: from, caller_life, call, lane, request: request.clone() };
                if !self.is_up(to) {
                    self.answer(&owed, Err(CallError::Unreachable));
                    return Ok(());
                }
                self.owed.insert(token, owed);
                self.step(to, Input::Request { token, request })
            }
            Body::Response(result) if self.nodes[to].life == caller_life => {
                self.step(to, Input::Reply { call, result })
            }
            Body::Response(_) => Ok(()),
        }
    }

    /// Loses the message at this position; the caller learns that it has no answer.
    pub fn lose(&mut self, position: usize) -> Result<(), Violation> {
        if self.keeps_streams() && self.messages[position].lane == Lane::Replication {
            return self.break_stream(position);
        }
        let message = self.messages.remove(position);
        let caller = match message.body {
            Body::Request(_) => message.from,
            Body::Response(_) => message.to,
        };
        if self.nodes[caller].life != message.caller_life {
            return Ok(());
        }
        let result = Err(CallError::Unreachable);
        self.step(caller, Input::Reply { call: message.call, result })
    }

    /// Puts a proposal, or a read, to a server.
    pub fn propose(&mut self, at: usize, data: &str) -> Result<(), Violation> {
        let id = self.next_request();
        let data = Bytes::copy_from_slice(data.as_bytes());
        self.step(at, Input::Propose(vec![Proposal { id, kind: EntryKind::Command, data }]))
    }

    pub fn verify(&mut self, at: usize) -> Result<(), Violation> {
        let id = self.next_request();
        self.judge.verify_begins(id);
        self.step(at, Input::Verify(id))
    }

    pub fn next_request(&mut self) -> RequestId {
        let id = self.next_request;
        self.next_request = id.next();
        id
    }

    /// Lets a server's clock run to its deadline and wakes it.
    pub fn fire(&mut self, at: usize) -> Result<(), Violation> {
        let node = &mut self.nodes[at];
        let Some(deadline) = node.raft.as_ref().and_then(Raft::deadline) else { return Ok(()) };
        node.clock = node.clock.max(deadline);
        self.step(at, Input::Wake)
    }

    /// Time until the next deadline of anybody.
    pub fn until_deadline(&self) -> Option<Duration> {
        self.nodes
            .iter()
            .filter_map(|node| Some(node.raft.as_ref()?.deadline()?.since(node.clock)))
            .min()
    }

    /// Moves all clocks alike and wakes whoever is due at the end.
    pub fn pass(&mut self, span: Duration) -> Result<(), Violation> {
        for at in 0..self.nodes.len() {
            self.nodes[at].clock += span;
            let node = &self.nodes[at];
            let deadline = node.raft.as_ref().and_then(Raft::deadline);
            if deadline.is_some_and(|deadline| deadline <= node.clock) {
                self.step(at, Input::Wake)?;
            }
        }
        Ok(())
    }

    fn answer(&mut self, owed: &Owed, result: Result<Response, CallError>) {
        let Owed { by, to, caller_life, call, lane, .. } = *owed;
        let body = Body::Response(result);
        self.messages.push(Message { from: by, to, caller_life, call, lane, body });
    }

    fn route(&mut self, at: usize, out: Vec<Output>) -> Result<(), Violation> {
        for output in out {
            self.transcript.push(format!("{}: {}", self.nodes[at].address, self.line(&output)));
            self.follow_log(at, &output);
            let owed = match &output {
                Output::Reply { token, .. } => self.owed.remove(token),
                _ => None,
            };
            let verdict = self.judge.observe(&self.nodes, at, &output, owed.as_ref());
            self.judge.unless_exempt(verdict)?;
            match output {
                Output::Persist(persist) => self.nodes[at].writing.push_back(persist),
                Output::Call { call, to, lane, request } => {
                    let to = self.find(&to).expect("a member");
                    let caller_life = self.nodes[at].life;
                    let body = Body::Request(request);
                    self.messages.push(Message { from: at, to, caller_life, call, lane, body });
                }
                Output::Reply { response, .. } => {
                    if let Some(owed) = owed {
                        self.answer(&owed, Ok(response));
                    }
                }
                _ => {}
            }
        }
        let verdict = self.judge.judge_leaders(&self.nodes);
        self.judge.unless_exempt(verdict)
    }

    /// Tokens are the harness's: a transcript says who is answered instead.
    fn line(&self, output: &Output) -> String {
        let line = describe_output(output);
        match output {
            Output::Reply { token, .. } => {
                let asker = self
                    .owed
                    .get(token)
                    .map_or("nobody", |owed| self.nodes[owed.to].address.as_str());
                let (_, answer) = line.split_once(' ').expect("a name and a text");
                format!("answer -> {asker} {answer}")
            }
            _ => line,
        }
    }

    fn follow_log(&mut self, at: usize, output: &Output) {
        match output {
            Output::Event(Event::Appended(entries)) => {
                self.nodes[at].log.extend(entries.iter().cloned());
            }
            Output::Event(Event::Truncated(from)) => {
                self.nodes[at].log.truncate(from.0 as usize - 1);
            }
            Output::Event(Event::ConfigurationInForce { configuration, .. }) => {
                self.nodes[at].in_force = configuration.clone();
            }
            _ => {}
        }
    }

    /// Everybody up and connected, everything durable and delivered in order, clocks together: within `rounds`
    /// there is a leader, and the logs and commit indexes of all in its set agree with its.
    pub fn converge(&mut self, rounds: usize) -> Result<(), Violation> {
        self.cut = None;
        for at in 0..self.nodes.len() {
            self.restart(at)?;
        }
        for round in 0..rounds {
            self.run_dry()?;
            if round % 50 == 49 {
                for at in 0..self.nodes.len() {
                    if self.nodes[at].raft.as_ref().is_some_and(Raft::is_leader) {
                        self.propose(at, "settle")?;
                    }
                }
                self.run_dry()?;
            }
            if round > 50 && self.agrees() {
                return Ok(());
            }
            self.pass(self.until_deadline().unwrap_or_default())?;
        }
        Err(Violation::new("liveness", "no agreement after everything works again"))
    }

    /// Completes batches and delivers messages, first in first out, until nothing moves.
    pub fn run_dry(&mut self) -> Result<(), Violation> {
        loop {
            let mut moved = false;
            for at in 0..self.nodes.len() {
                while self.persist(at)? {
                    moved = true;
                }
            }
            if !self.messages.is_empty() {
                self.deliver(0)?;
                moved = true;
            }
            if !moved {
                return Ok(());
            }
        }
    }

    fn agrees(&self) -> bool {
        let running: Vec<&Node> = self.nodes.iter().filter(|node| node.raft.is_some()).collect();
        let rafts = || running.iter().filter_map(|node| node.raft.as_ref());
        let Some(leader) = rafts().filter(|raft| raft.is_leader()).max_by_key(|raft| raft.term())
        else {
            return false;
        };
        let servers = &leader.configuration().servers;
        let is_member = |node: &&&Node| servers.iter().any(|server| server.address == node.address);
        let mut members = running.iter().filter(is_member).filter_map(|node| node.raft.as_ref());
        leader.commit_index() > LogIndex(0)
            && members.all(|raft| {
                raft.term() == leader.term()
                    && raft.commit_index() == leader.last_index()
                    && raft.last_index() == leader.last_index()
            })
    }
}
