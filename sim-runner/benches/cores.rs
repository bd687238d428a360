//! The agent's cores by themselves: no network, no disk, no clock.

use std::collections::{BTreeMap, VecDeque};
use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use proconsul::base::{
    CallId, Faults, Instant, LogIndex, Prng, ReplyToken, RequestId, ServerAddress, Term,
};
use proconsul::raft::{
    AppendEntries, Configuration, ConfigurationCodec, Entry, EntryKind, Input, ModernMembership,
    Output, Proposal, Raft, RaftConfig, Request, Restored, Server, Suffrage, bootstrap,
};
use proconsul::state::{Command, KvCommand, Query, StateStore};
use proconsul::wire;

const WRITES: u64 = 1_000;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    commits(&mut criterion);
    store(&mut criterion);
    codec(&mut criterion);
    criterion.final_summary();
}

fn set(number: u64) -> Command {
    let key = format!("app/config/{}", number % 500);
    Command::Kv(KvCommand::Set { key, value: Bytes::from_static(&[7; 64]), flags: 0 })
}

/// Proposals through three servers to the commit on the leader.
fn commits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("raft");
    group.throughput(Throughput::Elements(WRITES));
    group.bench_function("commit on three servers", |bencher| {
        bencher.iter_batched_ref(
            Servers::elected,
            |servers| {
                for number in 0..WRITES {
                    servers.propose(number);
                }
                assert!(servers.cores[0].commit_index() > LogIndex(WRITES));
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// Three cores; messages arrive at once, in order, and disks are instant.
struct Servers {
    cores: Vec<Raft>,
    now: Instant,
    inputs: VecDeque<(usize, Input)>,
    /// Who waits for the answer behind a token.
    asked: BTreeMap<ReplyToken, (usize, CallId)>,
    next_token: ReplyToken,
}

impl Servers {
    /// The first server leads.
    fn elected() -> Self {
        let name = |number: usize| format!("n{number}");
        let servers = (0..3).map(|number| Server {
            suffrage: Suffrage::Voter,
            id: name(number).into(),
            address: name(number).into(),
        });
        let configuration = Configuration { servers: servers.collect() };
        let (hard_state, entries) = bootstrap(wire::raft::encode_configuration(&configuration));
        let core = |number: usize| {
            let config = RaftConfig::with_multiplier(name(number).into(), name(number).into(), 1)
                .expect("1 is a multiplier");
            let restored = Restored {
                hard_state: hard_state.clone(),
                entries: entries.clone(),
                ..Restored::default()
            };
            let codec = ConfigurationCodec {
                encode: wire::raft::encode_configuration,
                decode: |bytes| {
                    wire::raft::decode_configuration(bytes).map_err(|error| error.to_string())
                },
            };
            let membership = Box::new(ModernMembership::new(name(number).into(), codec));
            let prng = Prng::new(number as u64);
            let mut out = Vec::new();
            Raft::new(config, restored, membership, prng, Faults::none(), Instant::ZERO, &mut out)
        };
        let mut servers = Self {
            cores: (0..3).map(core).collect(),
            now: Instant::ZERO,
            inputs: VecDeque::new(),
            asked: BTreeMap::new(),
            next_token: ReplyToken(1),
        };
        while !servers.cores[0].is_leader() {
            servers.now = servers.cores[0].deadline().expect("a follower waits for its timer");
            servers.give(0, Input::Wake);
        }
        servers
    }

    fn propose(&mut self, number: u64) {
        let data = wire::command::encode(&set(number), "dc1");
        let proposal = Proposal { id: RequestId(number), kind: EntryKind::Command, data };
        self.give(0, Input::Propose(vec![proposal]));
    }

    /// Gives an input and everything that follows from it.
    fn give(&mut self, to: usize, input: Input) {
        self.inputs.push_back((to, input));
        let mut out = Vec::new();
        while let Some((at, input)) = self.inputs.pop_front() {
            self.cores[at].step(self.now, input, &mut out);
            for output in out.drain(..) {
                self.follow(at, output);
            }
        }
    }

    fn follow(&mut self, at: usize, output: Output) {
        match output {
            Output::Persist(batch) => self.inputs.push_back((at, Input::Persisted(batch.id))),
            Output::Call { call, to, request, .. } => {
                let token = self.next_token;
                self.next_token = token.next();
                self.asked.insert(token, (at, call));
                self.inputs.push_back((position(&to), Input::Request { token, request }));
            }
            Output::Reply { token, response } => {
                let (caller, call) = self.asked.remove(&token).expect("it was asked");
                self.inputs.push_back((caller, Input::Reply { call, result: Ok(response) }));
            }
            _ => {}
        }
    }
}

/// `n2` is the server at 2.
fn position(address: &ServerAddress) -> usize {
    address.as_str()[1..].parse().expect("servers are numbered")
}

fn store(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("store");
    let commands: Vec<Command> = (0..WRITES).map(set).collect();
    group.throughput(Throughput::Elements(WRITES));
    group.bench_function("kv set", |bencher| {
        bencher.iter_batched_ref(
            StateStore::new,
            |store| fill(store, &commands),
            BatchSize::SmallInput,
        );
    });
    let mut full = StateStore::new();
    fill(&mut full, &commands);
    group.throughput(Throughput::Elements(1));
    let one = Query::KvGet { key: "app/config/250".to_owned() };
    group.bench_function("kv get", |bencher| bencher.iter(|| full.query(black_box(&one))));
    let many = Query::KvList { prefix: "app/config/1".to_owned() };
    group.bench_function("kv list of 111", |bencher| bencher.iter(|| full.query(black_box(&many))));
    group.finish();
}

fn fill(store: &mut StateStore, commands: &[Command]) {
    for (index, command) in (1..).zip(commands) {
        black_box(store.apply(LogIndex(index), command, &Faults::none()));
    }
}

fn codec(criterion: &mut Criterion) {
    let entry = |index: u64| Entry {
        index: LogIndex(index),
        term: Term(3),
        kind: EntryKind::Command,
        data: wire::command::encode(&set(index), "dc1"),
    };
    let request = Request::AppendEntries(AppendEntries {
        term: Term(3),
        leader: "10.0.0.1:8300".into(),
        prev_index: LogIndex(100),
        prev_term: Term(3),
        entries: (101..165).map(entry).collect(),
        leader_commit: LogIndex(100),
    });
    let mut bytes = Vec::new();
    wire::raft::encode_request(&request, &mut bytes);
    let mut group = criterion.benchmark_group("wire");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("encode AppendEntries of 64", |bencher| {
        let mut out = Vec::with_capacity(bytes.len());
        bencher.iter(|| {
            out.clear();
            wire::raft::encode_request(black_box(&request), &mut out);
        });
    });
    group.bench_function("decode AppendEntries of 64", |bencher| {
        bencher.iter(|| wire::raft::decode_request(black_box(&bytes)));
    });
    group.finish();
}
