//! Hand-made traces: a small vocabulary to tell a run in, event by event.

use proconsul::base::Duration;
use sim_runner::checker::windows::windows;
use sim_runner::checker::{Evidence, Outcome, judge};
use sim_runner::history::operation::{Call, Mode, Operation, Outcome as Ended, Output, Seen};
use sim_runner::property::{Judgement, Verdict};
use sim_runner::scenario::model::{
    Boot, ClusterPlan, Condition, Expect, NetworkPlan, Plan, Profile, Seed, Step, TimePlan,
};
use sim_runner::trace::View;
use sim_runner::trace::event::{
    Ending, EntryRef, Header, Host, HostInfo, HostKind, Role, TraceEvent, What,
};
use xxhash_rust::xxh3::xxh3_64;

pub const MS: i64 = 1_000_000;
pub const N1: Host = Host(0);
pub const N2: Host = Host(1);
pub const N3: Host = Host(2);
/// The script, in a cluster of three.
pub const TESTBED: Host = Host(4);

/// A run as it is told.
#[derive(Clone)]
pub struct Story {
    pub header: Header,
    pub events: Vec<TraceEvent>,
    pub history: Vec<Operation>,
    pub plan: Plan,
    pub now: i64,
}

pub fn address(host: Host) -> String {
    format!("10.0.0.{}:8300", host.0 + 1)
}

/// The entry with this index and term; its content follows from both.
pub fn entry(index: u64, term: u64) -> EntryRef {
    EntryRef { index, term, hash: index * 1000 + term }
}

pub fn header() -> Header {
    let host = |name: &str, kind, address: &str| HostInfo {
        name: name.to_owned(),
        kind,
        address: address.to_owned(),
    };
    Header {
        version: 1,
        title: "a story".to_owned(),
        seed: "42".to_owned(),
        hosts: vec![
            host("n1", HostKind::Server, "10.0.0.1"),
            host("n2", HostKind::Server, "10.0.0.2"),
            host("n3", HostKind::Server, "10.0.0.3"),
            host("u1", HostKind::User, "10.0.1.1"),
            host("testbed", HostKind::Testbed, "10.0.2.1"),
        ],
        run_ns: 60_000 * MS,
        settle_ns: 300_000 * MS,
        lease_ns: 500 * MS,
    }
}

fn plan() -> Plan {
    let ms = Duration::from_millis;
    Plan {
        title: "a story".to_owned(),
        story: None,
        source: None,
        seed: Seed { text: "42".to_owned(), bytes: [0; 32] },
        cluster: ClusterPlan {
            nodes: Vec::new(),
            boot: Boot::Joined,
            profile: Profile::Modern,
            max_dead_servers: 1,
        },
        network: NetworkPlan::default(),
        disk: Default::default(),
        clock: Default::default(),
        time: TimePlan {
            run: ms(60_000),
            run_is_explicit: true,
            settle: ms(300_000),
            boot_within: ms(60_000),
        },
        workloads: Vec::new(),
        steps: Vec::new(),
        expects: Vec::new(),
    }
}

impl Story {
    /// Three servers that are started and have empty disks, at time zero.
    pub fn new() -> Self {
        let mut story = Self {
            header: header(),
            events: Vec::new(),
            history: Vec::new(),
            plan: plan(),
            now: 0,
        };
        for host in [N1, N2, N3] {
            story.start(host, 0, None, &[]);
        }
        story.push(TESTBED, What::Booted);
        story
    }

    /// Three servers of which n1 leads term 1 and has committed its first entry everywhere.
    pub fn led() -> Self {
        let mut story = Self::new();
        story.wins(N1, 1);
        story.replicate(&[N1, N2, N3], &[entry(1, 1)]);
        for host in [N1, N2, N3] {
            story.names(host, Some(N1));
            story.commits(host, 1);
            story.applies(host, entry(1, 1));
        }
        story
    }

    pub fn at(&mut self, ms: i64) -> &mut Self {
        self.now = ms * MS;
        self
    }

    pub fn push(&mut self, host: Host, what: What) -> &mut Self {
        self.events.push(TraceEvent { at: self.now, host, what });
        self
    }

    pub fn start(&mut self, host: Host, term: u64, vote: Option<(u64, Host)>, log: &[EntryRef]) {
        self.push(host, What::Started);
        let (vote_term, vote_for) = match vote {
            Some((term, candidate)) => (term, address(candidate)),
            None => (0, String::new()),
        };
        self.push(
            host,
            What::Recovered {
                term,
                vote_term,
                vote_for,
                snapshot: None,
                log: log.to_vec(),
                abstains: false,
            },
        );
    }

    pub fn kill(&mut self, host: Host) -> &mut Self {
        self.push(host, What::Ended { how: Ending::Killed, detail: String::new() })
    }

    /// It is elected, and every live server takes over the term.
    pub fn wins(&mut self, host: Host, term: u64) -> &mut Self {
        self.push(host, What::Term { term });
        self.push(host, What::ElectionWon { term, tally: 2 });
        self.role(host, Role::Leader, term);
        for other in [N1, N2, N3] {
            if other != host {
                self.push(other, What::Term { term });
            }
        }
        self
    }

    pub fn role(&mut self, host: Host, role: Role, term: u64) -> &mut Self {
        self.push(host, What::Role { role, term })
    }

    pub fn names(&mut self, host: Host, leader: Option<Host>) -> &mut Self {
        let address = leader.map(address).unwrap_or_default();
        self.push(host, What::Leader { address })
    }

    pub fn replicate(&mut self, hosts: &[Host], entries: &[EntryRef]) -> &mut Self {
        for host in hosts {
            self.push(*host, What::Append { entries: entries.to_vec() });
        }
        self
    }

    pub fn acks(&mut self, host: Host, index: u64, term: u64) -> &mut Self {
        self.push(host, What::Acked { index, term })
    }

    pub fn commits(&mut self, host: Host, index: u64) -> &mut Self {
        self.push(host, What::Commit { index })
    }

    pub fn applies(&mut self, host: Host, entry: EntryRef) -> &mut Self {
        let EntryRef { index, term, hash } = entry;
        self.push(host, What::Apply { index, term, hash })
    }

    /// An entry that is replicated to all, committed and applied by all, and wrote `value`.
    pub fn write_through(&mut self, entry: EntryRef, key: &str, value: &str) -> &mut Self {
        self.replicate(&[N1, N2, N3], &[entry]);
        for host in [N1, N2, N3] {
            self.commits(host, entry.index);
            self.applies(host, entry);
            self.wrote(host, entry.index, key, value);
        }
        self
    }

    pub fn wrote(&mut self, host: Host, index: u64, key: &str, value: &str) -> &mut Self {
        let value = if value.is_empty() { 0 } else { xxh3_64(value.as_bytes()) };
        self.push(host, What::Wrote { index, key: key.to_owned(), value, done: true })
    }

    /// A user's operation of key `x` that was answered ok; times in ms.
    pub fn operation(&mut self, call: Call, output: Output, span: (i64, i64), index: Option<u64>) {
        self.history.push(Operation {
            id: self.history.len() as u64,
            client: 0,
            user: "u1".to_owned(),
            server: "n1".to_owned(),
            key: "x".to_owned(),
            call,
            called_at: span.0 * MS,
            returned_at: Some(span.1 * MS),
            outcome: Ended::Ok,
            output: Some(output),
            index,
            error: None,
        });
    }

    pub fn put(&mut self, value: &str, span: (i64, i64)) {
        self.operation(Call::Put { value: value.to_owned() }, Output::Done, span, None);
    }

    pub fn get(&mut self, mode: Mode, value: &str, index: u64, span: (i64, i64)) {
        let seen = Seen { key: "x".to_owned(), value: value.to_owned(), modify_index: Some(index) };
        self.operation(Call::Get { mode }, Output::Value(Some(seen)), span, Some(index));
    }

    pub fn served(&mut self, host: Host, index: u64, applied: u64, term: u64) -> &mut Self {
        let (mode, key) = ("default".to_owned(), "x".to_owned());
        self.push(host, What::Served { mode, key, index, applied, term, leads: true })
    }

    pub fn step(&mut self, step: u32, verb: &str, targets: &[Host]) -> &mut Self {
        let what = What::StepStarted {
            step,
            id: format!("step-{step}"),
            verb: verb.to_owned(),
            chaos: false,
            detail: String::new(),
            targets: targets.to_vec(),
        };
        self.push(TESTBED, what)
    }

    pub fn settled(&mut self) -> &mut Self {
        self.now = self.now.max(self.header.run_ns);
        self.push(TESTBED, What::SettleBegan);
        self.now += 5000 * MS;
        self.push(TESTBED, What::Settled)
    }

    pub fn expect(&mut self, expect: Expect) -> &mut Self {
        self.plan.expects.push(expect);
        self
    }

    pub fn planned(&mut self, step: Step) -> &mut Self {
        self.plan.steps.push(step);
        self
    }

    pub fn evidence(&self) -> Evidence {
        Evidence {
            header: self.header.clone(),
            events: self.events.clone(),
            history: self.history.clone(),
        }
    }

    pub fn outcome(&self) -> Outcome {
        let windows = windows(&self.header, &self.events, &self.history);
        judge(&self.evidence(), &self.plan, &windows, Vec::new())
    }

    pub fn judgement(&self, property: &str) -> Judgement {
        let judgements = self.outcome().judgements;
        judgements.into_iter().find(|j| j.property == property).expect("every property is judged")
    }

    /// Signatures of all violations, of whatever property.
    pub fn signatures(&self) -> Vec<String> {
        let judgements = self.outcome().judgements;
        let violations = judgements.into_iter().flat_map(|judgement| judgement.violations);
        violations.map(|violation| violation.signature).collect()
    }

    /// Nothing at all is wrong with this run.
    pub fn assert_accepted(&self) {
        assert_eq!(self.signatures(), Vec::<String>::new());
    }

    /// The property is violated with this signature (others may be too).
    pub fn assert_caught(&self, signature: &str) {
        let property = signature.split(':').next().expect("a signature begins with its property");
        let judgement = self.judgement(property);
        let found: Vec<_> = judgement.violations.iter().map(|v| v.signature.as_str()).collect();
        assert!(found.contains(&signature), "{signature} is not among {found:?}");
        assert_eq!(judgement.verdict, Verdict::Violated);
    }

    pub fn view(&self) -> View {
        let mut view = View::new(&self.header, []);
        for event in &self.events {
            view.apply(event);
        }
        view
    }
}

/// `a and b`.
pub fn and(a: Condition, b: Condition) -> Condition {
    Condition::And(Box::new(a), Box::new(b))
}

/// `not a`.
pub fn not(a: Condition) -> Condition {
    Condition::Not(Box::new(a))
}
