//! A made-up run of three servers and three users, for tests of the report: 60 seconds with two kills,
//! a partition, a pause, and on demand one consistent read that misses an acknowledged write.
//!
//! Nothing here is judged; the run only has the shape and the size of real ones.

use std::collections::BTreeMap;
use std::ops::Range;

use proconsul::base::Prng;
use sim_runner::history::operation::{Call, Mode, Operation, Outcome, Output, Seen};
use sim_runner::property::{Judgement, PROPERTIES, Verdict, Violation};
use sim_runner::report::html::{Evidence, page};
use sim_runner::report::verdict::RunVerdict;
use sim_runner::report::{OperationTally, ReadTally, RunResult};
use sim_runner::trace::event::{
    Change, Ending, EntryRef, Header, Host, HostInfo, HostKind, Pool, Role, TraceEvent, What,
};

const MS: i64 = 1_000_000;
const SECOND: i64 = 1_000 * MS;
const TESTBED: u16 = 6;
/// Who leads when, ms: server, term, and the times of the reign.
const REIGNS: [(u16, u64, Range<i64>); 4] = [
    (0, 1, -1_200..12_000),
    (1, 2, 13_400..26_600),
    (0, 4, 27_900..44_000),
    (2, 5, 45_300..63_000),
];
/// Who is down when, ms.
const DOWN: [(u16, Range<i64>); 2] = [(0, 12_000..18_000), (0, 44_000..49_000)];

/// A run and its evidence.
pub struct Fixture {
    pub run: RunResult,
    pub header: Header,
    pub events: Vec<TraceEvent>,
    pub history: Vec<Operation>,
}

impl Fixture {
    pub fn page(&self) -> String {
        page(
            &self.run,
            Evidence { header: &self.header, events: &self.events, history: &self.history },
        )
    }
}

/// A run in which all properties hold.
pub fn holding() -> Fixture {
    build(None)
}

/// A run in which a deposed leader answers a consistent read from the past.
pub fn violated() -> Fixture {
    build(Some(27_960))
}

/// A run in which n2 and n3 list n1 as failed while it is down for the first time.
pub fn with_members() -> Fixture {
    let mut fixture = holding();
    let mut tell = |at_ms: i64, host: u16, about: &str, change| {
        let about = about.to_owned();
        let what = What::Member { pool: Pool::Lan, about, change, forced: false, ltime: 1 };
        fixture.events.push(TraceEvent { at: at_ms * MS, host: Host(host), what });
    };
    for host in 0..3 {
        for about in ["n1", "n2", "n3"] {
            tell(-1_000, host, about, Change::Joined);
        }
    }
    tell(14_000, 1, "n1", Change::Failed);
    tell(15_000, 2, "n1", Change::Failed);
    for host in [1, 2] {
        tell(18_500, host, "n1", Change::Joined);
    }
    for about in ["n2", "n3"] {
        tell(18_500, 0, about, Change::Joined);
    }
    fixture.events.sort_by_key(|event| event.at);
    fixture
}

fn build(stale_read_at_ms: Option<i64>) -> Fixture {
    let mut world = World {
        prng: Prng::new(42),
        events: vec![],
        history: vec![],
        values: BTreeMap::new(),
        entries: 3,
    };
    world.boot_and_elections();
    world.script();
    world.background_traffic();
    world.users();
    let violation = stale_read_at_ms.map(|at| world.stale_read(at));
    world.events.sort_by_key(|event| event.at);
    let header = header();
    let run = result(&world, violation);
    Fixture { run, header, events: world.events, history: world.history }
}

fn header() -> Header {
    let host = |name: &str, kind, address: &str| HostInfo {
        name: name.into(),
        kind,
        address: address.into(),
    };
    let mut hosts: Vec<HostInfo> =
        (1..=3).map(|n| host(&format!("n{n}"), HostKind::Server, &format!("10.0.0.{n}"))).collect();
    hosts.extend((1..=3).map(|n| host(&format!("u{n}"), HostKind::User, &format!("10.0.1.{n}"))));
    hosts.push(host("testbed", HostKind::Testbed, ""));
    Header {
        version: 1,
        title: "The leader dies, and dies again".into(),
        seed: "42".into(),
        hosts,
        run_ns: 60 * SECOND,
        settle_ns: 10 * SECOND,
        lease_ns: 500 * MS,
    }
}

fn result(world: &World, violation: Option<Violation>) -> RunResult {
    let judged = |property: &str| match property {
        "script" => 5,
        "boot" | "determinism" | "liveness" => 1,
        "no-panic" => 6,
        "election-safety" | "leader-completeness" => 4,
        "linearizable" => world.history.len() as u64,
        "vote-durability" => 11,
        _ => world.entries * 3,
    };
    let judgements: Vec<Judgement> = PROPERTIES
        .iter()
        .map(|&property| {
            let violations: Vec<Violation> =
                violation.iter().filter(|v| v.property == property).cloned().collect();
            let verdict = if violations.is_empty() { Verdict::Holds } else { Verdict::Violated };
            let property = property.to_owned();
            Judgement { judged: judged(&property), property, verdict, because: None, violations }
        })
        .collect();
    RunResult {
        title: "The leader dies, and dies again".into(),
        story: Some(
            "Three servers, three users. The leader is killed with its unsynced data, comes back, is \
             cut off from the others, and is killed again. No acknowledged write may be lost."
                .into(),
        ),
        scenario: "scenarios/leader_loss.toml".into(),
        seed: "42".into(),
        plant: violation.as_ref().map(|_| "lease-ignored".to_owned()),
        verdict: RunVerdict::of(&judgements),
        trace: "9f86d081884c7d659a2feaa0c55ad015".into(),
        replayed: true,
        virtual_s: 65.1,
        wall_s: 0.149,
        speed: 438.0,
        events: world.events.len() as u64,
        operations: OperationTally::of(&world.history),
        reads: ReadTally::of(&world.history, 2),
        judgements,
        seen: vec!["leader-elected".into(), "leader-lost".into(), "stale-read".into()],
        report: Some("reports/leader_loss-42/report.html".into()),
        reproduce: match violation {
            Some(_) => "sim-runner scenarios/leader_loss.toml --seed 42 --plant lease-ignored",
            None => "sim-runner scenarios/leader_loss.toml --seed 42",
        }
        .into(),
        notes: vec![],
        sometimes: vec![],
        first_difference: None,
    }
}

struct World {
    prng: Prng,
    events: Vec<TraceEvent>,
    history: Vec<Operation>,
    /// What is acknowledged: value and version by key.
    values: BTreeMap<String, (String, u64)>,
    entries: u64,
}

impl World {
    /// An event of a host, at µs.
    fn event(&mut self, at_us: i64, host: u16, what: What) {
        self.events.push(TraceEvent { at: at_us * 1_000, host: Host(host), what });
    }

    fn below(&mut self, bound: i64) -> i64 {
        self.prng.below(bound as u64) as i64
    }

    fn boot_and_elections(&mut self) {
        for host in 0..3 {
            self.event(-2_000_000 + i64::from(host) * 40_000, host, What::Started);
        }
        for (_, range) in DOWN {
            let host = if range.start == 12_000 || range.start == 44_000 { 0 } else { 1 };
            let lost = What::LostUnsynced { path: "raft/000001.log".into(), bytes: 118 };
            let killed = What::Ended { how: Ending::Killed, detail: String::new() };
            self.event(range.start * 1_000, host, killed);
            self.event(range.start * 1_000, host, lost);
            self.event(range.end * 1_000, host, What::Started);
            let log = vec![EntryRef { index: 1, term: 1, hash: 7 }];
            let term = if range.start < 30_000 { 1 } else { 4 };
            let recovered = What::Recovered {
                term,
                vote_term: term,
                vote_for: "10.0.0.1:8300".into(),
                snapshot: None,
                log,
                abstains: false,
            };
            self.event(range.end * 1_000 + 3_000, host, recovered);
            let (leader, term) = reign(range.end).expect("somebody leads when a server comes back");
            self.event(range.end * 1_000 + 40_000, host, What::Term { term });
            let address = format!("10.0.0.{}:8300", leader + 1);
            self.event(range.end * 1_000 + 40_000, host, What::Leader { address });
        }
        for (leader, term, reign) in REIGNS {
            self.election(leader, term, reign.start * 1_000, reign.end * 1_000);
        }
        // The first try after the cut is split.
        self.event(27_050_000, 2, What::Role { role: Role::Candidate, term: 3 });
        self.event(27_310_000, 2, What::ElectionFailed { term: 3 });
        self.event(27_310_000, 2, What::Role { role: Role::Follower, term: 3 });
        let why = "lease ran out: no answer from n1, n3".to_owned();
        self.event(26_600_000, 1, What::StepDown { term: 2, why });
        self.event(0, TESTBED, What::Booted);
        self.event(60_000_000, TESTBED, What::SettleBegan);
        self.event(63_100_000, TESTBED, What::Settled);
    }

    fn election(&mut self, leader: u16, term: u64, at: i64, end: i64) {
        let address = format!("10.0.0.{}:8300", leader + 1);
        self.event(at - 180_000, leader, What::HeartbeatTimeout);
        self.event(at - 150_000, leader, What::Role { role: Role::Candidate, term });
        self.event(at, leader, What::ElectionWon { term, tally: 2 });
        self.event(at, leader, What::Role { role: Role::Leader, term });
        self.event(at, leader, What::Leader { address: address.clone() });
        for host in (0..3).filter(|&host| host != leader && up(host, at / 1_000)) {
            if term == 4 && host == 1 {
                continue; // cut off
            }
            let at = at - 90_000 + i64::from(host) * 7_000;
            self.event(at, host, What::Voted { term, candidate: address.clone() });
            self.event(at, host, What::Role { role: Role::Follower, term });
            self.event(at + 120_000, host, What::Leader { address: address.clone() });
        }
        if up(leader, end / 1_000 + 5) && end < 63_000_000 {
            self.event(end, leader, What::Role { role: Role::Follower, term });
            self.event(end, leader, What::Leader { address: String::new() });
        }
    }

    fn script(&mut self) {
        let steps = [
            ("kill-1", "kill", "leader", 0_u16, 12_000..12_000_i64, false),
            ("restart-1", "restart", "of kill-1", 0, 18_000..18_000, false),
            ("cut", "partition", "leader | others", 1, 25_900..33_000, false),
            ("chaos.3", "pause", "server:any", 2, 38_000..40_200, true),
            ("kill-2", "kill", "leader", 0, 44_000..44_000, false),
            ("restart-2", "restart", "of kill-2", 0, 49_000..49_000, false),
        ];
        for (step, (id, verb, detail, target, time, chaos)) in (0u32..).zip(steps) {
            let (from, to) = (time.start * 1_000, time.end * 1_000);
            let started = What::StepStarted {
                step,
                id: id.into(),
                verb: verb.into(),
                chaos,
                detail: detail.into(),
                targets: vec![Host(target)],
            };
            self.event(from, TESTBED, started);
            self.event(from, TESTBED, What::StepFinished { step });
            if to > from {
                self.event(to, TESTBED, What::StepUndone { step });
            }
        }
        self.event(38_000_000, 2, What::Paused);
        self.event(40_200_000, 2, What::Resumed);
        self.event(33_060_000, 1, What::Role { role: Role::Follower, term: 4 });
        self.event(33_065_000, 1, What::Truncate { from: 298 });
        self.event(33_070_000, 1, What::Leader { address: "10.0.0.1:8300".into() });
    }

    /// Heartbeats, and what the cut swallows of them.
    fn background_traffic(&mut self) {
        for ms in (-1_200..63_000).step_by(20) {
            let Some((leader, ..)) = reign(ms) else { continue };
            for host in (0..3).filter(|&host| host != leader) {
                let jitter = self.below(4_000);
                let what = if cut(leader, host, ms) || !up(host, ms) {
                    let why = if up(host, ms) { "cut" } else { "dead host" }.into();
                    self.event(ms * 1_000, leader, What::Drop { to: Host(host), tcp: true, why });
                    continue;
                } else {
                    What::Deliver { from: Host(leader), tcp: true, bytes: 96, hash: ms as u64 }
                };
                for _ in 0..4 {
                    self.event(ms * 1_000 + jitter, host, what.clone());
                }
            }
        }
    }

    fn users(&mut self) {
        let mut next = [7_000, 57_000, 107_000];
        let mut clients = [0, 1, 2];
        while let Some(user) = (0..3).min_by_key(|&user| next[user])
            && next[user] < 60_000_000
        {
            let at = next[user];
            let done = self.operation(user, &mut clients, at);
            next[user] = (at + 120_000 + self.below(60_000)).max(done + 1_000);
        }
    }

    /// One operation of a user; returns when it is over.
    fn operation(&mut self, user: usize, clients: &mut [u32; 3], at: i64) -> i64 {
        let key = format!("k{}", 1 + self.below(5));
        let server = self.below(3) as u16;
        let call = self.call(&key, at);
        let served =
            up(server, at / 1_000) && !(server == 1 && (25_900..33_000).contains(&(at / 1_000)));
        let leading = reign(at / 1_000).is_some_and(|(leader, ..)| up(leader, at / 1_000));
        let (outcome, took) = match (served, leading) {
            (true, true) => {
                (Outcome::Ok, 2_000 + self.below(9_000) + self.below(3) * self.below(9_000))
            }
            (true, false) if self.below(3) == 0 => (Outcome::Unknown, 1_500_000),
            (true, false) => (Outcome::Fail, 400_000 + self.below(300_000)),
            (false, _) if up(server, at / 1_000) => (Outcome::Unknown, 2_000_000),
            (false, _) => (Outcome::Fail, 1_200),
        };
        let id = self.history.len() as u64;
        let answered = outcome == Outcome::Ok;
        let output = answered.then(|| self.take_effect(&key, &call, at + took));
        self.event(at, 3 + user as u16, What::Invoke { op: id });
        let word = format!("{outcome:?}").to_lowercase();
        self.event(at + took, 3 + user as u16, What::Return { op: id, outcome: word });
        let silent = outcome == Outcome::Unknown && id.is_multiple_of(4);
        self.history.push(Operation {
            id,
            client: clients[user],
            user: format!("u{}", user + 1),
            server: format!("n{}", server + 1),
            key,
            call,
            called_at: at * 1_000,
            returned_at: (!silent).then_some((at + took) * 1_000),
            outcome,
            output,
            index: answered.then_some(self.entries),
            error: match outcome {
                Outcome::Ok => None,
                Outcome::Fail => Some("500: No cluster leader".into()),
                Outcome::Unknown => Some("no answer within 2s".into()),
            },
        });
        if outcome == Outcome::Unknown {
            clients[user] += 3;
        }
        at + took
    }

    fn call(&mut self, key: &str, at: i64) -> Call {
        let value = format!("{}-{}", at / 1_000, self.below(100));
        let mode = match self.below(5) {
            0 | 1 => Mode::Consistent,
            2 | 3 => Mode::Default,
            _ => Mode::Stale,
        };
        match self.below(10) {
            0..=4 => Call::Get { mode },
            5..=7 => Call::Put { value },
            8 => {
                let index = self.values.get(key).map_or(0, |(_, version)| *version);
                Call::CasIndex { index, value }
            }
            _ => Call::Delete,
        }
    }

    fn take_effect(&mut self, key: &str, call: &Call, at: i64) -> Output {
        let written = match call {
            Call::Put { value } | Call::CasIndex { value, .. } => Some(value.clone()),
            Call::Delete => None,
            _ => {
                let seen = self.values.get(key).map(|(value, version)| Seen {
                    key: key.into(),
                    value: value.clone(),
                    modify_index: Some(*version),
                });
                return Output::Value(seen);
            }
        };
        self.entries += 1;
        let index = self.entries;
        match written {
            Some(value) => self.values.insert(key.into(), (value, index)),
            None => self.values.remove(key),
        };
        for host in (0..3).filter(|&host| up(host, at / 1_000) && !cut(0, host, at / 1_000)) {
            let entry = EntryRef { index, term: 1, hash: index };
            let lag = i64::from(host) * 300;
            self.event(at - 1_500 + lag, host, What::Append { entries: vec![entry] });
            self.event(at - 700 + lag, host, What::Commit { index });
            self.event(at - 690 + lag, host, What::Apply { index, term: 1, hash: index });
        }
        if matches!(call, Call::CasIndex { .. }) { Output::Swapped(true) } else { Output::Done }
    }

    /// Two acknowledged writes of k2, then a consistent read that sees the first.
    fn stale_read(&mut self, at_ms: i64) -> Violation {
        let mut operation = |at: i64, user: &str, server: &str, call, output| {
            let id = self.history.len() as u64;
            self.history.push(Operation {
                id,
                client: 90,
                user: user.into(),
                server: server.into(),
                key: "k2".into(),
                call,
                called_at: at * MS,
                returned_at: Some((at + 31) * MS),
                outcome: Outcome::Ok,
                output: Some(output),
                index: None,
                error: None,
            });
            id
        };
        let put = |value: &str| Call::Put { value: value.into() };
        let seen = Seen { key: "k2".into(), value: "17".into(), modify_index: Some(290) };
        let first = operation(at_ms - 2_260, "u1", "n2", put("17"), Output::Done);
        let second = operation(at_ms + 210, "u1", "n1", put("18"), Output::Done);
        let get = Call::Get { mode: Mode::Consistent };
        let read = operation(at_ms + 430, "u3", "n2", get, Output::Value(Some(seen)));
        let served = What::Served {
            mode: "consistent".into(),
            key: "k2".into(),
            index: 290,
            applied: 297,
            term: 2,
            leads: true,
        };
        self.event((at_ms + 440) * 1_000, 1, served);
        self.events.sort_by_key(|event| event.at);
        self.history.sort_by_key(|operation| operation.called_at);
        let mut renumbered = BTreeMap::new();
        for (id, operation) in (0u64..).zip(&mut self.history) {
            renumbered.insert(operation.id, id);
            operation.id = id;
        }
        let position = |event: &TraceEvent| matches!(event.what, What::Served { .. });
        Violation {
            property: "linearizable".into(),
            at: (at_ms + 461) * MS,
            summary:
                "u3's consistent read of k2 answered \"17\" 220 ms after u1's write of \"18\" had \
                      been acknowledged"
                    .into(),
            signature: "linearizable: a consistent read missed an acknowledged write".into(),
            operations: [first, second, read].iter().map(|id| renumbered[id]).collect(),
            events: vec![self.events.iter().position(position).expect("just added") as u64],
            detail: vec![
                "possible answers at that instant: \"18\"".into(),
                "n2 answered as leader of term 2; n1 had been leader of term 4 since 27.900 s"
                    .into(),
            ],
        }
    }
}

fn up(host: u16, ms: i64) -> bool {
    !DOWN.iter().any(|(down, time)| *down == host && time.contains(&ms))
}

fn cut(a: u16, b: u16, ms: i64) -> bool {
    (a == 1) != (b == 1) && (25_900..33_000).contains(&ms)
}

fn reign(ms: i64) -> Option<(u16, u64)> {
    REIGNS.into_iter().find(|(.., time)| time.contains(&ms)).map(|(leader, term, _)| (leader, term))
}
