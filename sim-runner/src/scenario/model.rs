//! A scenario with the seed applied: what the runner executes.
//!
//! ```text
//!  TOML ──parse──► tables with spans ──lower(seed)──► Plan ──run──► trace, history
//!                                                       └─expand──► TOML again, same digest
//! ```
//!
//! Everything that can be drawn before the run is drawn here: step times, chaos (which becomes steps),
//! lengths of `for`. What depends on the state of the run (who leads; which of the servers that are
//! up) is resolved when a step fires, from a stream labelled with the step's id, so that it is the
//! same in the expanded scenario.

use proconsul::base::{Duration, Prng};
use serde_json::Value;

pub use super::facts::{Comparison, Condition, EventPattern, Fact, Number, State};
use super::fault::{
    CliStep, ClockFault, ClockPlan, DiskFault, DiskPlan, FileStep, LinkFault, Links, Proto,
};
use super::lookup::{DnsStep, DnsWorkload};
pub use super::network_plan::{LinkKeys, LinkPlan, NetworkPlan};
pub use super::workload_plan::{
    CatalogWorkload, HealthWorkload, LockWorkload, SERVICES, SessionWorkload, TxnWorkload,
    WatchWorkload, service_name,
};

/// The seed of a run: as the user gave it, and as 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// `42`, `0x2a` or 40 hex digits.
    pub text: String,
    /// What the streams are derived from.
    pub bytes: [u8; 32],
}

impl Seed {
    /// The stream with this label.
    #[must_use]
    pub fn stream(&self, label: &str) -> Prng {
        Prng::from_seed(self.bytes).fork(label)
    }
}

/// A half-open range; `low == high` for a fixed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Least.
    pub low: Duration,
    /// Greatest, exclusive (but the value itself when equal).
    pub high: Duration,
}

/// The whole run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// `title`.
    pub title: String,
    /// `story`.
    pub story: Option<String>,
    /// `source`.
    pub source: Option<String>,
    /// The seed.
    pub seed: Seed,
    /// `[cluster]`.
    pub cluster: ClusterPlan,
    /// `[network]`.
    pub network: NetworkPlan,
    /// `[disk]`.
    pub disk: DiskPlan,
    /// `[clock]`.
    pub clock: ClockPlan,
    /// `[time]`.
    pub time: TimePlan,
    /// `[[workload]]`, in order.
    pub workloads: Vec<Workload>,
    /// `[[step]]` in order, then the steps that chaos became.
    pub steps: Vec<Step>,
    /// `[[expect]]`, in order.
    pub expects: Vec<Expect>,
}

/// `[cluster]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterPlan {
    /// Servers first.
    pub nodes: Vec<NodePlan>,
    /// `boot`.
    pub boot: Boot,
    /// `profile`.
    pub profile: Profile,
    /// `protect.max_dead_servers`; by default a minority.
    pub max_dead_servers: usize,
}

/// How the cluster comes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot {
    /// All started and joined before time zero.
    Joined,
    /// Steps start the nodes.
    Manual,
}

/// Whose rules the agents follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Consul 1.9.8.
    #[default]
    Modern,
    /// Consul 0.5.2's membership.
    Legacy,
}

/// One agent.
#[derive(Clone, Debug, PartialEq)]
pub struct NodePlan {
    /// `n1`.
    pub name: String,
    /// Server, or agent in client mode.
    pub server: bool,
    /// `config`, `node.servers`, `node.NAME`, merged in this order: a JSON object of agent keys.
    pub config: Value,
}

/// `[time]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimePlan {
    /// Script, workloads and chaos.
    pub run: Duration,
    /// Whether `run` was written: then an unfinished script is a violation.
    pub run_is_explicit: bool,
    /// At most this long; zero: nothing is undone.
    pub settle: Duration,
    /// For a joined boot.
    pub boot_within: Duration,
}

/// `[[workload]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// How many users.
    pub users: u32,
    /// Operations per minute of all users together.
    pub per_minute: u64,
    /// From time zero; the run's end by default.
    pub between: (Duration, Duration),
    /// Whom its users ask.
    pub via: Via,
    /// After this an operation is unknown.
    pub timeout: Duration,
    /// What they do.
    pub kind: WorkloadKind,
}

impl Workload {
    /// The time from one operation of a user to the next, on average.
    #[must_use]
    pub fn pause(&self) -> Duration {
        Duration::from_nanos(60_000_000_000 * u64::from(self.users) / self.per_minute.max(1))
    }
}

/// `via` of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// Drawn per operation among the target's nodes that are up (or any, when none is).
    Target(Target),
    /// Each user keeps the agent it drew first.
    Sticky,
}

/// What the users of a workload do.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkloadKind {
    /// `kv`.
    Kv(KvWorkload),
    /// `event`.
    Event(EventWorkload),
    /// `lock`.
    Lock(LockWorkload),
    /// `session`.
    Session(SessionWorkload),
    /// `catalog`.
    Catalog(CatalogWorkload),
    /// `health`.
    Health(HealthWorkload),
    /// `watch`.
    Watch(WatchWorkload),
    /// `txn`.
    Txn(TxnWorkload),
    /// `dns`.
    Dns(DnsWorkload),
}

/// `kind = "event"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventWorkload {
    /// Size of a payload, bytes.
    pub size_bytes: usize,
}

/// `kind = "kv"`.
#[derive(Clone, Debug, PartialEq)]
pub struct KvWorkload {
    /// Number of keys.
    pub keys: u32,
    /// Weights of `get put delete cas list`.
    pub mix: KvMix,
    /// Weights of the read modes.
    pub consistency: Modes,
    /// Size of a value, bytes.
    pub value_bytes: usize,
}

/// Weights; at least one is positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct KvMix {
    pub get: u64,
    pub put: u64,
    pub delete: u64,
    pub cas: u64,
    pub list: u64,
}

/// Weights; at least one is positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Modes {
    pub default: u64,
    pub consistent: u64,
    pub stale: u64,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// As written, or made: `step-3`, `chaos-1-7`. Unique.
    pub id: String,
    /// Whether chaos made it: then it honours `max_dead_servers`, and is skipped when it cannot act.
    pub chaos: bool,
    /// `file:line` of its table, for messages.
    pub place: String,
    /// The `repeat` or `parallel` (index) in which it stands.
    pub parent: Option<usize>,
    /// When it fires.
    pub trigger: Trigger,
    /// `when`: fires at the first moment this holds after the trigger.
    pub when: Option<Condition>,
    /// How long `when` (or `wait until`) may take.
    pub within: Duration,
    /// `every`, with `between` or `times`.
    pub repeat: Option<Repeat>,
    /// `for`: undone this long after.
    pub undo_after: Option<Duration>,
    /// `optional`.
    pub optional: bool,
    /// What it does.
    pub action: Action,
}

/// When a step fires.
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// When the step above has finished; the first at time zero. In a block: the first when the
    /// block begins, and in a `parallel` every one.
    Previous,
    /// At this time.
    At(Duration),
    /// This long after that step (index in the plan) has finished.
    AfterStep {
        /// Which.
        step: usize,
        /// How long.
        delay: Duration,
    },
    /// This long after the first such event.
    AfterEvent {
        /// Which.
        event: EventPattern,
        /// How long.
        delay: Duration,
    },
}

/// `every`.
#[derive(Clone, Debug, PartialEq)]
pub struct Repeat {
    /// The pause before each further time, drawn.
    pub every: Span,
    /// `times`.
    pub times: Option<u32>,
    /// `between`, when it is given.
    pub between: Option<(Moment, Moment)>,
}

/// An end of `between`.
#[derive(Clone, Debug, PartialEq)]
pub enum Moment {
    /// A time.
    At(Duration),
    /// When that step (index) has finished.
    Step(usize),
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the keys are those of the language, section 6")]
pub enum Action {
    Start {
        target: Target,
        args: Vec<String>,
        config: Option<Value>,
    },
    Kill {
        target: Target,
        disk: KeepOnKill,
    },
    Stop {
        target: Target,
        signal: StopSignal,
    },
    Restart {
        target: Target,
        args: Vec<String>,
        config: Option<Value>,
    },
    Pause {
        target: Target,
    },
    Resume {
        target: Target,
    },
    Partition(Partition),
    /// Undo that step (index), or every network fault.
    Heal {
        of: Option<usize>,
    },
    /// Delete the data directory.
    Wipe {
        target: Target,
    },
    /// Change the configuration file, and reload.
    Config {
        target: Target,
        set: Value,
    },
    TransferLeader {
        target: Target,
        to: Option<Target>,
    },
    Clock {
        target: Target,
        fault: ClockFault,
    },
    Disk {
        target: Target,
        fault: DiskFault,
    },
    Link {
        links: Links,
        /// TCP or UDP; both when absent.
        proto: Option<Proto>,
        fault: LinkFault,
    },
    File(FileStep),
    Cli(CliStep),
    Http(HttpStep),
    Dns(DnsStep),
    Join {
        target: Target,
        to: Target,
        wan: bool,
    },
    Leave {
        target: Target,
    },
    ForceLeave {
        target: Target,
        /// Whom to tell; any other server when absent.
        via: Option<Target>,
        prune: bool,
    },
    /// Name lookups on the node fail.
    DnsFail {
        target: Target,
    },
    /// The node comes back with another address.
    Readdress {
        target: Target,
    },
    /// Register a service, as in the API, through the target's own agent.
    Register {
        target: Target,
        service: Value,
    },
    Deregister {
        target: Target,
        /// Of the service.
        id: String,
    },
    /// What stands behind a service fails; on all agents that have it when no target is given.
    ServiceDown {
        target: Option<Target>,
        id: String,
    },
    /// And passes.
    ServiceUp {
        target: Option<Target>,
        id: String,
    },
    /// The nested steps, one after the other, so often.
    Repeat {
        times: u32,
    },
    /// The nested steps, each by its own times.
    Parallel,
    Wait(Wait),
    Note {
        text: String,
    },
}

/// `disk` of `kill`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum KeepOnKill {
    Synced,
    All,
    Some,
}

/// `signal` of `stop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum StopSignal {
    Term,
    Int,
}

/// `partition`.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the keys are those of the language, section 6")]
pub enum Partition {
    Groups(Vec<Target>),
    Isolate { target: Target },
    Split,
    Bridge,
    MajoritiesRing,
    OneWay { target: Target },
    Flapping { target: Target, period: Duration },
}

/// `http`.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpStep {
    /// On which node.
    pub via: Target,
    /// `PUT`.
    pub method: String,
    /// `/v1/kv/a?raw`; texts in braces are filled in when it fires.
    pub path: String,
    /// The body.
    pub body: String,
    /// What the answer must be.
    pub expect: HttpExpect,
    /// Whether `within` was given: then it is repeated until the answer is as expected.
    pub retry: bool,
}

/// `expect` of `http`; all that are given must hold. `{T}` is filled in when it fires.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpExpect {
    /// Exact status.
    pub status: Option<u16>,
    /// Exact body.
    pub body: Option<String>,
    /// Parts of the body.
    pub contains: Vec<String>,
    /// Not parts of the body.
    pub excludes: Vec<String>,
    /// A pattern that the whole body matches: `*` any text, `?` any character.
    pub matches: Option<String>,
    /// `json."0.Key"`: path in the parsed body, and the value there.
    pub json: Vec<(String, Value)>,
    /// `header.NAME`.
    pub headers: Vec<(String, String)>,
}

/// `wait`.
#[derive(Clone, Debug, PartialEq)]
pub enum Wait {
    /// `for`, with or without `while`.
    For {
        /// How long.
        span: Duration,
        /// Must hold all that time.
        holds: Option<Condition>,
    },
    /// `until` a condition, within the step's `within`.
    Until(Condition),
    /// `until` an event, counted from the end of the step above.
    UntilEvent(EventPattern),
}

/// Who (language section 5).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are those of the language, section 5")]
pub enum Target {
    Node(String),
    Leader,
    OldLeader,
    Followers,
    FollowerAny,
    Servers,
    ServerAny,
    Clients,
    ClientAny,
    All,
    Any,
    Minority,
    Majority,
    Half,
    Random(u32),
    LastKilled,
    /// Index of the step.
    SameAs(usize),
    /// The agent of the session that holds this key.
    Holder(String),
    /// Agents that have an instance of this service.
    Service(String),
    Not(Box<Target>),
    /// In groups: all others.
    Rest,
    /// The workloads' users (in partitions).
    Users,
    /// A union.
    List(Vec<Target>),
}

/// `[[expect]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Expect {
    /// `file:line`, for messages.
    pub place: String,
    /// The text of the condition or event as written, for messages and signatures.
    pub text: String,
    /// What must hold.
    pub rule: Rule,
    /// `within`: a deadline (`0..8s`) or a window.
    pub within: Option<(Duration, Duration)>,
    /// `of`: time counts from that step's start.
    pub of: Option<usize>,
    /// `between`.
    pub between: Option<(Moment, Moment)>,
    /// `for`.
    pub at_least: Option<Duration>,
}

/// The kinds of expectation (language section 7).
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the language, section 7")]
pub enum Rule {
    Always(Fact),
    Eventually(Fact),
    Never(Fact),
    AtEnd(Fact),
    Seen(Fact),
    Sometimes(Fact),
    InOrder(Vec<EventPattern>),
    Violates(String),
    Skip { property: String, because: String },
}
