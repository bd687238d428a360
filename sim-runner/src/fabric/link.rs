//! One direction of one link: its policy, its cuts and its own random streams.
//!
//! Invariants: every message takes exactly one draw of the latency stream, also when it is lost, so
//! the n-th message of a link has the same latency whatever else the policy does; the other faults
//! draw from streams of their own. Streams are labelled `net/FROM->TO/…`, so no link's draws depend on
//! another's traffic.

use std::fs::File;
use std::io::Read;

use proconsul::base::{Duration, Prng};

use super::harm::Active;
use super::observer::{HostId, Why};
use super::policy::LinkPolicy;
use super::queue::Event;

pub(super) struct Link {
    pub policy: LinkPolicy,
    /// How many faults cut it now.
    pub cuts: u32,
    /// What is wrong with it beside that.
    pub harms: Vec<Active>,
    /// What has arrived and is not let through, because it is clogged.
    pub held: Vec<Event>,
    pub streams: Prng,
    latency: Prng,
    loss: Prng,
    datagram_faults: Prng,
    busy_until_ns: u64,
}

/// All links, made when first used.
pub(super) struct Links {
    by_route: Vec<Vec<Option<Box<Link>>>>,
    streams: Prng,
    pub default: LinkPolicy,
    /// How many harms clog a link.
    pub clogged: usize,
    /// Set for the planted non-determinism only: a source that differs in every run.
    real_entropy: Option<File>,
}

impl Links {
    pub fn new(streams: &Prng, default: LinkPolicy) -> Self {
        let streams = streams.fork("net");
        Self { by_route: Vec::new(), streams, default, clogged: 0, real_entropy: None }
    }

    pub fn add_host(&mut self) {
        self.by_route.push(Vec::new());
    }

    /// The link of a route between two hosts with these names.
    pub fn get(&mut self, from: HostId, to: HostId, names: (&str, &str)) -> &mut Link {
        let row = &mut self.by_route[usize::from(from.0)];
        let column = usize::from(to.0);
        if row.len() <= column {
            row.resize_with(column + 1, || None);
        }
        row[column].get_or_insert_with(|| {
            let streams = self.streams.fork(&format!("{}->{}", names.0, names.1));
            Box::new(Link {
                policy: self.default,
                cuts: 0,
                harms: Vec::new(),
                held: Vec::new(),
                latency: streams.fork("latency"),
                loss: streams.fork("loss"),
                datagram_faults: streams.fork("datagram faults"),
                busy_until_ns: 0,
                streams,
            })
        })
    }

    /// The link of a route that has been used before.
    pub fn known(&mut self, from: HostId, to: HostId) -> Option<&mut Link> {
        self.by_route[usize::from(from.0)].get_mut(usize::from(to.0))?.as_deref_mut()
    }

    pub fn all(&mut self) -> impl Iterator<Item = &mut Link> {
        self.by_route.iter_mut().flatten().flatten().map(|link| &mut **link)
    }

    pub fn set_nondeterministic(&mut self, on: bool) {
        self.real_entropy = if on { File::open("/dev/urandom").ok() } else { None };
    }

    /// Up to 64 µs that no seed explains; zero unless the planted non-determinism is on.
    pub fn unexplained_ns(&mut self) -> u64 {
        let Some(source) = &mut self.real_entropy else {
            return 0;
        };
        let mut bytes = [0; 2];
        source.read_exact(&mut bytes).map_or(0, |()| u64::from(u16::from_le_bytes(bytes)))
    }
}

impl Link {
    /// Sends one message: when it will arrive, or why it never will.
    pub fn depart(&mut self, now_ns: u64, bytes: usize, tcp: bool) -> Result<u64, Why> {
        let policy = self.policy;
        let latency = self.latency.duration(policy.latency_low, policy.latency_high);
        if self.cuts > 0 {
            return Err(Why::Cut);
        }
        if self.loss.chance(policy.loss) {
            return Err(Why::Lost);
        }
        let mut leaves_ns = now_ns;
        if let Some(per_second) = policy.bandwidth {
            let takes_ns = bytes as u64 * 1_000_000_000 / per_second.max(1);
            leaves_ns = self.busy_until_ns.max(now_ns) + takes_ns;
            self.busy_until_ns = leaves_ns;
        }
        self.suffer(now_ns, leaves_ns + latency.as_nanos() as u64, bytes, tcp)
    }

    /// Whether the checksum of a TCP segment fails.
    pub fn damages_segment(&mut self) -> bool {
        self.datagram_faults.chance(self.policy.corrupt)
    }

    /// What else befalls a datagram that arrives: perhaps a later arrival, a flipped bit, and a copy.
    pub fn mistreat(&mut self, arrives_ns: u64, bytes: &mut [u8]) -> (u64, Option<u64>) {
        let policy = self.policy;
        let stream = &mut self.datagram_faults;
        let mut arrives_ns = arrives_ns;
        if stream.chance(policy.reorder) {
            arrives_ns += stream.duration(Duration::ZERO, policy.reorder_by).as_nanos() as u64;
        }
        if stream.chance(policy.corrupt) && !bytes.is_empty() {
            let bit = stream.below(bytes.len() as u64 * 8);
            bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        }
        let copy = stream.chance(policy.duplicate).then(|| {
            let spread = policy.latency_high.saturating_sub(policy.latency_low);
            arrives_ns + stream.duration(Duration::ZERO, spread).as_nanos() as u64
        });
        let another = self.suffer_datagram(arrives_ns, bytes);
        (arrives_ns, copy.or(another))
    }
}
