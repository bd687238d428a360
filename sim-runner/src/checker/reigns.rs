//! What the oracles over clients' histories ask of the trace: who led when, when nothing was ill, how
//! wrong the clocks ran, and when a node may have been out of the pool.
//!
//! ```text
//!   n1 ├── claims to lead ──────────────┤ cut off, paused …
//!   n2                       ├── claims to lead ───────────
//!      └── n1's sole reign ──┴ contested ┴─ n2's sole reign
//! ```
//!
//! What a leader alone knows (timers of sessions, delays of locks, which indexes it has shown) is the
//! matter of its reign, so judgements that rest on such knowledge are made inside one. Everything here
//! errs to the side of silence: a claim lasts until the trace says that it ended.

use std::collections::BTreeMap;

use crate::scenario::model::Plan;
use crate::trace::event::{Change, Header, Host, HostKind, Pool, Role, What};

use super::evidence::Evidence;
use super::gossip_times::{Calm, SLACK_NS};
use super::oracle::Seen;

/// A stretch of time, ns; the end belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: i64,
    to: i64,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Reigns {
    claims: Vec<(Host, Span)>,
    open: BTreeMap<Host, i64>,
    calm: Calm,
    /// Each with the time since which nothing has been ill.
    calms: Vec<Span>,
    drift_ppm: i64,
    /// Per node's name: when somebody said it is gone, or its process came or went.
    troubles: BTreeMap<String, Vec<i64>>,
    /// When a step asked for something that may end any session, or take any lock's key away.
    meddled: Vec<i64>,
    /// Per agent's name: when its process was started.
    starts: BTreeMap<String, Vec<i64>>,
    restored: bool,
    booted: bool,
    now: i64,
}

/// A node that was gone may be found out to have been so as late as the leader's next full look at the
/// pool (spec cluster 6.3: 60 s), and somewhat more.
const LATE_NS: i64 = 130_000_000_000;

impl Reigns {
    /// Before the first event.
    #[must_use]
    pub fn new(plan: &Plan, header: &Header) -> Self {
        Self {
            claims: Vec::new(),
            open: BTreeMap::new(),
            calm: Calm::new(plan, header),
            calms: Vec::new(),
            drift_ppm: 0,
            troubles: BTreeMap::new(),
            meddled: Vec::new(),
            starts: BTreeMap::new(),
            restored: false,
            booted: false,
            now: i64::MIN,
        }
    }

    /// Takes in an event.
    pub fn observe(&mut self, seen: Seen<'_>) {
        let (at, host) = (seen.event.at, seen.event.host);
        self.now = at;
        self.calm.observe(seen.event);
        match (self.calm.since(), self.calms.last_mut()) {
            (Some(since), Some(last)) if last.from == since => last.to = at,
            (Some(since), _) => self.calms.push(Span { from: since, to: at }),
            (None, _) => {}
        }
        match &seen.event.what {
            What::Role { role: Role::Leader, .. } => {
                self.open.entry(host).or_insert(at);
            }
            What::Role { .. } => self.close(host, at),
            What::Started => {
                self.close(host, at);
                self.starts.entry(seen.name().to_owned()).or_default().push(at);
                // Before the whole is up nobody has sessions; a start is no trouble by itself.
                if self.booted {
                    self.trouble(seen.name(), at);
                }
            }
            What::Ended { .. } => {
                self.close(host, at);
                self.trouble(seen.name(), at);
            }
            What::Booted => self.booted = true,
            What::Clock { drift_ppm, .. } => self.drift_ppm = self.drift_ppm.max(drift_ppm.abs()),
            What::Member { pool, about, change, .. } => {
                if matches!(change, Change::Failed | Change::Left | Change::Reaped) {
                    // In the WAN pool names end with the datacenter; a node's own may have dots too.
                    let node = match pool {
                        Pool::Lan => about,
                        Pool::Wan => about.rsplit_once('.').map_or(&**about, |(node, _)| node),
                    };
                    self.trouble(node, at);
                }
            }
            What::SnapshotInstalled { operator: true, .. } => self.restored = true,
            What::StepStarted { detail, .. } if meddles(detail) => self.meddled.push(at),
            _ => {}
        }
    }

    fn close(&mut self, host: Host, at: i64) {
        if let Some(from) = self.open.remove(&host) {
            self.claims.push((host, Span { from, to: at }));
        }
    }

    fn trouble(&mut self, name: &str, at: i64) {
        self.troubles.entry(name.to_owned()).or_default().push(at);
    }

    /// Whether an operator's snapshot took the place of the state: then no history tells it.
    #[must_use]
    pub fn restored(&self) -> bool {
        self.restored
    }

    /// Whoever took itself for leader at some moment of this time.
    #[must_use]
    pub fn claimants(&self, from: i64, to: i64) -> Vec<Host> {
        let open = self.open.iter().map(|(host, from)| (*host, Span { from: *from, to: i64::MAX }));
        let claims = self.claims.iter().copied().chain(open);
        let meeting = claims.filter(|(_, span)| span.from <= to && span.to >= from);
        let mut hosts: Vec<Host> = meeting.map(|(host, _)| host).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }

    /// The reign (its beginning, which names it) that covers all of this time while nobody else claimed
    /// to lead; none when there is no such.
    #[must_use]
    pub fn sole(&self, from: i64, to: i64) -> Option<i64> {
        let open = self.open.iter().map(|(host, from)| (*host, Span { from: *from, to: i64::MAX }));
        let claims = self.claims.iter().copied().chain(open);
        let mut meeting = claims.filter(|(_, span)| span.from <= to && span.to >= from);
        match (meeting.next(), meeting.next()) {
            (Some((_, span)), None) if span.from <= from && span.to >= to => Some(span.from),
            _ => None,
        }
    }

    /// Since when nothing has been ill at `at`, and stays so until `to`.
    #[must_use]
    pub fn calm(&self, at: i64, to: i64) -> Option<i64> {
        let calm = self.calms.iter().rev().find(|calm| calm.from <= at)?;
        (at <= calm.to && to <= calm.to).then_some(calm.from)
    }

    /// Whether it is calm from `at` to `to`, and has been long enough before that every agent knows whom to
    /// ask: one that has just come holds what it is asked until it does (`rpc_hold_timeout`, 7 s).
    #[must_use]
    pub fn well_calm(&self, at: i64, to: i64) -> bool {
        self.calm(at, to).is_some_and(|since| since.saturating_add(SLACK_NS) <= at)
    }

    /// The shortest time in which a clock of the run may say that `span` has passed.
    #[must_use]
    pub fn at_least(&self, span_ns: u64) -> i64 {
        let exact = i128::from(span_ns) * 1_000_000 / i128::from(1_000_000 + self.drift_ppm);
        i64::try_from(exact).unwrap_or(i64::MAX)
    }

    /// The longest time that it takes a clock that is not ill to say so.
    #[must_use]
    pub fn at_most(&self, span_ns: u64) -> i64 {
        i64::try_from(span_ns + span_ns / 100).unwrap_or(i64::MAX)
    }

    /// The first moment at or after `at` from which on a node may be held for gone.
    #[must_use]
    pub fn trouble_of(&self, node: &str, at: i64) -> i64 {
        // Events of several agents are in the order of their times.
        let first = |troubles: &Vec<i64>| {
            let before = troubles.partition_point(|trouble| *trouble < at.saturating_sub(LATE_NS));
            troubles.get(before).map_or(i64::MAX, |trouble| (*trouble).max(at))
        };
        self.troubles.get(node).map_or(i64::MAX, first).min(first(&self.meddled))
    }

    /// The life of an agent in which both moments lie, by the number of its starts; none when it was
    /// started between them, or never.
    #[must_use]
    pub fn life(&self, agent: &str, from: i64, to: i64) -> Option<usize> {
        let starts = self.starts.get(agent)?;
        let of = |at: i64| starts.partition_point(|start| *start <= at);
        (of(from) == of(to) && of(from) > 0).then(|| of(from))
    }
}

/// Whether a step's request may deregister a node or a check, destroy sessions, or delete keys that its
/// path does not name.
fn meddles(detail: &str) -> bool {
    ["/v1/catalog/", "/v1/txn", "/v1/session/"].iter().any(|path| detail.contains(path))
}

/// Whether an agent of this name is a server.
#[must_use]
pub fn is_server(evidence: &Evidence, name: &str) -> bool {
    let hosts = &evidence.header.hosts;
    hosts.iter().any(|host| host.name == name && host.kind == HostKind::Server)
}
