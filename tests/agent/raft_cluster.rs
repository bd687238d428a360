//! A cluster of Raft cores in memory: the network and the disks are lists, and whoever holds the
//! cluster decides what happens next.
//!
//! * A message in flight can be delivered in any order, lost (its caller is told, as the driver's
//!   time limit would) or delivered twice.
//! * A batch on its way to a disk is durable only when it is completed; a crash loses the rest, and
//!   may come between the snapshot in it and its log entries.
//! * A snapshot takes until it is saved. The state machine is a running hash, see `raft_disk`.
//! * Every server has its own clock. Nothing keeps them together but the holder.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use proconsul::base::{
    CallId, Duration, Instant, LogIndex, Prng, ReplyToken, RequestId, ServerAddress, Term,
};
use proconsul::raft::{
    CallError, Configuration, EntryKind, Event, HardState, Input, Lane, Output, Persist, Proposal,
    Raft, RaftConfig, Request, Response, SnapshotMeta, SnapshotSource, bootstrap, describe_output,
};
use proconsul::wire;

use crate::raft_disk::{Disk, Log, State};
use crate::raft_judge::{Judge, Violation};
use crate::raft_sets;
use crate::raft_shape::{Discipline, Shape};

/// One server: its core while it runs, and its disk.
pub struct Node {
    pub address: ServerAddress,
    pub raft: Option<Raft>,
    pub clock: Instant,
    /// How often it was started.
    pub life: u32,
    pub disk: Disk,
    /// Batches on their way there.
    pub writing: VecDeque<Persist>,
    /// The log in memory, as its events tell it.
    pub log: Log,
    /// The set of servers in force, as its events tell it.
    pub in_force: Configuration,
    pub machine: State,
    /// The snapshot that is being made.
    pub taking: Option<(SnapshotMeta, State)>,
    /// Bytes of snapshots that came in this life.
    received: BTreeMap<SnapshotSource, u64>,
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
    /// Of the snapshot that a request carries.
    bytes: Option<u64>,
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
    /// Changes of the set that were asked for: of which life of which server.
    pub(crate) changes: Vec<(RequestId, usize, u32)>,
    next_token: ReplyToken,
    next_request: RequestId,
}

impl Cluster {
    /// A bootstrapped cluster. Modern: term 1, one configuration entry everywhere. Legacy: a peers file
    /// everywhere. Spare servers have nothing.
    pub fn new(shape: Shape) -> Self {
        let first = shape.configuration();
        let (hard_state, entries) = match shape.discipline {
            Discipline::Modern => bootstrap(wire::raft::encode_configuration(&first)),
            Discipline::Legacy { .. } => (HardState::default(), Vec::new()),
        };
        let file = first.servers.iter().map(|server| server.address.clone()).collect();
        let file = (shape.discipline != Discipline::Modern).then_some::<Vec<_>>(file);
        let disk = Disk { hard_state, log: Log::of(entries), peers: file, ..Disk::default() };
        let nodes = (1..=shape.servers + shape.spares)
            .map(|number| Node {
                address: Shape::address(number),
                raft: None,
                clock: Instant::ZERO,
                life: 0,
                disk: if number <= shape.servers && !shape.bare {
                    disk.clone()
                } else {
                    Disk::default()
                },
                writing: VecDeque::new(),
                log: Log::default(),
                in_force: Configuration::default(),
                machine: State::default(),
                taking: None,
                received: BTreeMap::new(),
            })
            .collect();
        let mut cluster = Self {
            nodes,
            messages: Vec::new(),
            cut: None,
            judge: Judge::default(),
            transcript: Vec::new(),
            shape,
            owed: BTreeMap::new(),
            changes: Vec::new(),
            next_token: ReplyToken(1),
            next_request: RequestId(1),
        };
        for at in 0..cluster.nodes.len() {
            cluster.restart(at).expect("a start breaks nothing");
        }
        cluster
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
        config.max_append_bytes = self.shape.max_append_bytes;
        config.snapshot_interval = self.shape.snapshot_interval;
        config.snapshot_threshold = self.shape.snapshot_threshold;
        config.trailing_logs = self.shape.trailing_logs;
        config.pre_vote = self.shape.pre_vote;
        let prng = Prng::new(self.shape.seed).fork(&format!("{}/{}", node.address, node.life));
        let restored = node.disk.restored();
        node.log.clone_from(&node.disk.log);
        node.in_force = Configuration::default();
        node.machine = node.disk.snapshot.as_ref().map(|(_, state)| *state).unwrap_or_default();
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
        self.power_off(at);
    }

    /// Cuts the power in the middle of the oldest batch on its way: its snapshot is on disk, and
    /// nothing of what it does to the log.
    pub fn crash_in_batch(&mut self, at: usize) {
        if !self.is_up(at) {
            return;
        }
        let node = &mut self.nodes[at];
        if let Some(persist) = node.writing.pop_front() {
            node.disk.write_before_log(&persist, &node.received);
        }
        self.power_off(at);
    }

    fn power_off(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        node.raft = None;
        node.writing.clear();
        node.log = Log::default();
        node.taking = None;
        node.received.clear();
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
        node.disk.write(&persist, &node.received);
        Some(persist)
    }

    /// Completes the snapshot that a server makes. False when it makes none.
    pub fn save_snapshot(&mut self, at: usize) -> Result<bool, Violation> {
        let node = &mut self.nodes[at];
        let Some((mut meta, state)) = node.taking.take() else { return Ok(false) };
        meta.size = 8;
        node.disk.save(meta.clone(), state);
        self.step(at, Input::SnapshotSaved(meta)).map(|()| true)
    }

    /// The snapshot that a server makes cannot be written.
    pub fn fail_snapshot(&mut self, at: usize) -> Result<(), Violation> {
        match self.nodes[at].taking.take() {
            Some((meta, _)) => self.step(at, Input::SnapshotFailed(meta.index)),
            None => Ok(()),
        }
    }

    /// The bytes of a hand-made snapshot are there, and nobody calls its state wrong.
    pub fn receive_by_hand(&mut self, at: usize, token: ReplyToken, index: LogIndex) {
        let state = self.judge.believe(State { applied: index, hash: index.0 });
        self.nodes[at].received.insert(SnapshotSource::Received(token), state.hash);
    }

    /// An operator gives a server a new state.
    pub fn restore(&mut self, at: usize) -> Result<(), Violation> {
        let id = self.next_request();
        self.nodes[at].received.insert(SnapshotSource::Operator(id), id.0 << 32);
        self.step(at, Input::Restore { id, index: LogIndex(0) })
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
        let Message { from, to, caller_life, call, lane, body, bytes } = message;
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
                if let Some(bytes) = bytes {
                    self.nodes[to].received.insert(SnapshotSource::Received(token), bytes);
                }
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
        self.messages.push(Message { from: by, to, caller_life, call, lane, body, bytes: None });
    }

    fn route(&mut self, at: usize, out: Vec<Output>) -> Result<(), Violation> {
        let judges_sets = self.shape.discipline == Discipline::Modern;
        let concerns_set = judges_sets && out.iter().any(raft_sets::concerns_set);
        let set_before = self.nodes[at].in_force.clone();
        for output in out {
            self.transcript.push(format!("{}: {}", self.nodes[at].address, self.line(&output)));
            self.follow_log(at, &output);
            self.follow_state(at, &output)?;
            let owed = match &output {
                Output::Reply { token, .. } => self.owed.remove(token),
                _ => None,
            };
            let verdict = self.judge.observe(&self.nodes, at, &output, owed.as_ref());
            self.judge.unless_exempt(verdict)?;
            if judges_sets {
                self.judge.judge_snapshot_set(&self.nodes[at], &output, &set_before)?;
            }
            match output {
                Output::Persist(persist) => self.nodes[at].writing.push_back(persist),
                Output::Call { call, to, lane, request } => {
                    let to = self.find(&to).expect("a member");
                    let caller_life = self.nodes[at].life;
                    let bytes = self.bytes_of(at, &request);
                    let body = Body::Request(request);
                    let message = Message { from: at, to, caller_life, call, lane, body, bytes };
                    self.messages.push(message);
                }
                Output::TakeSnapshot(meta) => {
                    let state = self.nodes[at].machine;
                    assert_eq!(meta.index, state.applied, "a snapshot of another moment");
                    self.nodes[at].taking = Some((meta, state));
                }
                Output::Reply { response, .. } => {
                    if let Some(owed) = owed {
                        self.answer(&owed, Ok(response));
                    }
                }
                _ => {}
            }
        }
        if concerns_set {
            self.judge.judge_set(&self.nodes[at])?;
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
            Output::Installed { source: SnapshotSource::Received(_), .. } => {
                line.split('#').next().unwrap_or_default().to_owned()
            }
            _ => line,
        }
    }

    fn follow_log(&mut self, at: usize, output: &Output) {
        match output {
            Output::Event(Event::Appended(entries)) => {
                self.nodes[at].log.append(entries);
            }
            Output::Event(Event::Truncated(from)) => self.nodes[at].log.truncate(*from),
            Output::Event(Event::SnapshotInstalled { index, term }) => {
                let log = &mut self.nodes[at].log;
                if log.term_at(*index) != Some(*term) {
                    log.reset(*index, *term);
                }
            }
            Output::Event(Event::SnapshotRestored(index)) => {
                let term = self.nodes[at].raft.as_ref().map_or(Term(0), Raft::term);
                self.nodes[at].log.reset(*index, term);
            }
            Output::Event(Event::ConfigurationInForce { configuration, .. }) => {
                self.nodes[at].in_force = configuration.clone();
            }
            _ => {}
        }
    }

    /// Applies what is committed, and takes over what is installed.
    fn follow_state(&mut self, at: usize, output: &Output) -> Result<(), Violation> {
        let node = &mut self.nodes[at];
        match output {
            Output::Commit(committed) => {
                for one in committed {
                    if one.entry.index != node.machine.applied.next() {
                        let detail = format!("{} skips to {}", node.address, one.entry.index);
                        return Err(Violation::new("state-machine-safety", detail));
                    }
                    node.machine.apply(&one.entry);
                    let verdict = self.judge.applied(&node.address, node.machine);
                    self.judge.unless_exempt(verdict)?;
                }
                Ok(())
            }
            Output::Installed { meta, source } => {
                let hash = node.received[source];
                node.machine = State { applied: meta.index, hash };
                let verdict = match source {
                    SnapshotSource::Received(_) => {
                        self.judge.installed(&node.address, node.machine)
                    }
                    SnapshotSource::Operator(_) => self.judge.applied(&node.address, node.machine),
                };
                self.judge.unless_exempt(verdict)
            }
            _ => Ok(()),
        }
    }

    /// What the driver puts beside an InstallSnapshot.
    fn bytes_of(&self, at: usize, request: &Request) -> Option<u64> {
        let Request::InstallSnapshot(install) = request else { return None };
        let (meta, state) = self.nodes[at].disk.snapshot.as_ref().expect("it has a snapshot");
        assert_eq!(*meta, install.snapshot, "what is sent is what is on disk");
        Some(state.hash)
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
                while self.persist(at)? || self.save_snapshot(at)? {
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
        let members: Vec<&&Node> = running.iter().filter(is_member).collect();
        leader.commit_index() > LogIndex(0)
            && members.iter().filter_map(|node| node.raft.as_ref()).all(|raft| {
                raft.term() == leader.term()
                    && raft.commit_index() == leader.last_index()
                    && raft.last_index() == leader.last_index()
                    && raft.configuration() == leader.configuration()
                    && !raft.abstains()
            })
            && members.windows(2).all(|pair| pair[0].machine == pair[1].machine)
    }
}
