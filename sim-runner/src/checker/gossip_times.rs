//! What gossip may take, and when it is in trouble: shared by the properties about members.
//!
//! ```text
//!  trouble   ──┤cut├────┤paused├──                    a link, a clock, a disk or a process is ill
//!  calm since                     └──────────────►    judged is what lasts long enough in here
//! ```
//!
//! SWIM's promises are promises of time, and hold while messages get through and processes run. So a
//! span in which any agent or link is ill counts for nothing, and the clock of every obligation
//! starts again at its end: later than need be, never too early.
//!
//! The bounds (spec cluster 1.9, 1.11 and 11.6, 62 to 64; SWIM paper 3.1, 4.3), in terms of the
//! slowest configuration of any agent, of n agents in all:
//!
//! * **probing**: two rounds of the probe list, which is shuffled after each, reach every member. A
//!   probe of a member that answers takes one interval, one of a member that is gone at most eight.
//! * **suspicion**: `6 · suspicion_mult · max(1, log10 n)` intervals at most; the logarithm is rounded up.
//! * **slack**: ten seconds, for what is on its way: broadcasts, and the stream that pings.

use std::collections::{BTreeMap, BTreeSet};

use proconsul::base::{Duration, Ratio, go_duration};
use serde_json::Value;

use crate::scenario::model::{NetworkPlan, NodePlan, Plan};
use crate::trace::event::{Header, Host, HostKind, Pool, TraceEvent, What};

/// What is on its way when a bound has run out.
pub const SLACK_NS: i64 = 10_000_000_000;
/// How much longer than its interval the probe of a member that is gone may take
/// (AwarenessMaxMultiplier).
const AWARENESS: i64 = 8;
/// SuspicionMaxTimeoutMult.
const MAX_TIMEOUT_MULT: i64 = 6;

/// A clock that is off by so much counts as right: the slack has room for it.
pub const SOUND_PPM: i64 = 10_000;
/// How often an agent exchanges its whole state with another, or tries to reach one that has failed.
const EXCHANGE_NS: [i64; 2] = [30_000_000_000, 60_000_000_000];
/// So many of these rounds bring two together that can reach each other and of which one thinks the
/// other has failed.
const ROUNDS: i64 = 4;

/// Bytes per second through which gossip passes without a queue.
const SOUND_BANDWIDTH: u64 = 1_000_000;

/// Times of one pool, ns.
#[derive(Clone, Copy, Debug)]
struct Times {
    interval: i64,
    suspicion_mult: i64,
}

/// The bounds of a run.
#[derive(Clone, Copy, Debug)]
pub struct GossipTimes {
    lan: Times,
    wan: Times,
    agents: i64,
}

impl GossipTimes {
    /// Those of a plan and the hosts of a run.
    #[must_use]
    pub fn of(plan: &Plan, header: &Header) -> Self {
        let agent = |kind| matches!(kind, HostKind::Server | HostKind::Client);
        let agents = header.hosts.iter().filter(|info| agent(info.kind)).count() as i64;
        let nodes = &plan.cluster.nodes;
        Self {
            lan: slowest(nodes, "gossip_lan", Duration::from_secs(1), 4),
            wan: slowest(nodes, "gossip_wan", Duration::from_secs(5), 6),
            agents: agents.max(1),
        }
    }

    fn times(self, pool: Pool) -> Times {
        match pool {
            Pool::Lan => self.lan,
            Pool::Wan => self.wan,
        }
    }

    /// How long a suspicion lasts at most, ns.
    #[must_use]
    pub fn suspicion_ns(self, pool: Pool) -> i64 {
        let times = self.times(pool);
        let log = match self.agents {
            ..=10 => 1,
            11..=100 => 2,
            101..=1_000 => 3,
            _ => 5,
        };
        MAX_TIMEOUT_MULT * times.suspicion_mult * log * times.interval
    }

    /// How long a member that is gone may go unnoticed in calm, ns, while at most so many are gone.
    #[must_use]
    pub fn detection_ns(self, pool: Pool, gone: usize) -> i64 {
        let probes = 2 * (self.agents + AWARENESS * gone as i64);
        probes * self.times(pool).interval + self.suspicion_ns(pool) + SLACK_NS
    }

    /// How long, in calm, one may count another as failed that runs and knows it, ns. The smaller
    /// side of a healed partition tries somebody of the other in each round (spec cluster 2.11: it
    /// has more failed members than others), and one exchange tells an accused member of the
    /// accusation. Exchanges become rarer with more than 32 members (spec cluster 1.9).
    #[must_use]
    pub fn reunion_ns(self, pool: Pool) -> i64 {
        let doublings = i64::from((self.agents - 1).max(1).ilog2()) + 1 - 5;
        let round = EXCHANGE_NS[usize::from(pool == Pool::Wan)];
        ROUNDS * round * (doublings.max(0) + 1)
    }

    /// How long after trouble its suspicions may still be acted on, ns: the probe that was under
    /// way, the suspicion, and what is on its way.
    #[must_use]
    pub fn aftermath_ns(self, pool: Pool) -> i64 {
        AWARENESS * self.times(pool).interval + self.suspicion_ns(pool) + SLACK_NS
    }
}

/// The slowest of all nodes: `probe_interval` and `suspicion_mult` below this key.
fn slowest(nodes: &[NodePlan], key: &str, interval: Duration, mult: i64) -> Times {
    let default = Times { interval: interval.as_nanos() as i64, suspicion_mult: mult };
    let of = |node: &NodePlan| {
        let table = node.config.get(key);
        let get = |name: &str| table.and_then(|table| table.get(name));
        let written = get("probe_interval").and_then(Value::as_str).and_then(go_duration::parse);
        Times {
            interval: written.unwrap_or(default.interval),
            suspicion_mult: get("suspicion_mult").and_then(Value::as_i64).unwrap_or(mult),
        }
    };
    nodes.iter().map(of).fold(default, |slowest, times| Times {
        interval: slowest.interval.max(times.interval),
        suspicion_mult: slowest.suspicion_mult.max(times.suspicion_mult),
    })
}

/// Whether anything is ill, and since when nothing has been.
#[derive(Clone, Debug)]
pub struct Calm {
    agents: BTreeSet<Host>,
    ill: BTreeSet<Illness>,
    /// How many faults of a kind are on a link or a disk: two may overlap.
    on: BTreeMap<Illness, u32>,
    last: i64,
    /// The network as the scenario has it lets probes and answers through.
    network: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Illness {
    Cut(Host, Host),
    Link(Host, Host, String),
    Disk(Host, String),
    Paused(Host),
    Clock(Host),
}

impl Calm {
    /// Before the first event.
    #[must_use]
    pub fn new(plan: &Plan, header: &Header) -> Self {
        let hosts = (0..).map(Host).zip(&header.hosts);
        let agents = hosts.filter(|(_, it)| matches!(it.kind, HostKind::Server | HostKind::Client));
        Self {
            agents: agents.map(|(host, _)| host).collect(),
            ill: BTreeSet::new(),
            on: BTreeMap::new(),
            last: i64::MIN,
            network: is_sound(&plan.network),
        }
    }

    /// Takes in an event.
    pub fn observe(&mut self, event: &TraceEvent) {
        let host = event.host;
        if !self.agents.contains(&host) {
            return;
        }
        match &event.what {
            What::Cut { to } => self.set(Illness::Cut(host, *to), true),
            What::Healed { to } => self.set(Illness::Cut(host, *to), false),
            What::Paused => self.set(Illness::Paused(host), true),
            What::Resumed => self.set(Illness::Paused(host), false),
            What::Started | What::Ended { .. } => self.set(Illness::Paused(host), false),
            What::Clock { drift_ppm, .. } => {
                self.set(Illness::Clock(host), drift_ppm.abs() > SOUND_PPM);
            }
            What::LinkFault { to, kind, on, .. } => {
                self.count(Illness::Link(host, *to, kind.clone()), *on);
            }
            // Those two say what the next power cut will do.
            What::DiskFault { kind, .. } if kind == "lose-unsynced" || kind == "torn-write" => {
                return;
            }
            What::DiskFault { kind, on, .. } => {
                self.count(Illness::Disk(host, kind.clone()), *on);
            }
            _ => return,
        }
        self.last = event.at;
    }

    fn set(&mut self, illness: Illness, on: bool) {
        if on {
            self.ill.insert(illness);
        } else {
            self.ill.remove(&illness);
        }
    }

    fn count(&mut self, illness: Illness, on: bool) {
        let count = self.on.entry(illness.clone()).or_default();
        *count = if on { *count + 1 } else { count.saturating_sub(1) };
        let any = *count > 0;
        self.set(illness, any);
    }

    /// Since when nothing has been ill and no agent has come or gone; none while something is ill.
    ///
    /// A network that the scenario makes bad for good is always ill.
    #[must_use]
    pub fn since(&self) -> Option<i64> {
        (self.ill.is_empty() && self.network).then_some(self.last)
    }
}

/// Whether probes and answers get through: of a hundred messages one may be lost, and none takes
/// longer than a fifth of the time for which the answer to a probe is waited for.
fn is_sound(network: &NetworkPlan) -> bool {
    let rare = |ratio: Ratio| u128::from(ratio.numerator) * 100 <= u128::from(ratio.denominator);
    let quick = network.latency.high <= Duration::from_millis(50);
    let wide = network.bandwidth.is_none_or(|bytes| bytes >= SOUND_BANDWIDTH);
    let own = quick && wide && rare(network.loss) && rare(network.corrupt);
    own && network.links.iter().all(|link| {
        let mut alone = NetworkPlan { links: Vec::new(), ..network.clone() };
        link.keys.onto(&mut alone);
        is_sound(&alone)
    })
}
