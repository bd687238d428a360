//! What is wrong with one direction of a link, on top of its policy.
//!
//! Each harm draws from a stream of its own, labelled by who does it, so that it moves neither the
//! latencies of the link nor another harm's draws. A harm is for TCP, for UDP, or for both.
//!
//! A clogged link keeps what arrives in the order of arrival and lets it through at once when it is
//! mended. To TCP that is one long delay: nothing is lost, so nothing is sent again.

use proconsul::base::{Duration, Prng};

use super::Fabric;
use super::link::Link;
use super::observer::{HostId, Why};
use super::policy::{Harm, LinkHarm};
use super::queue::Event;
use super::world::World;

/// How long a message that is reordered is held back at most.
const REORDER_BY: Duration = Duration::from_millis(50);

/// A harm at work.
pub(super) struct Active {
    id: u64,
    harm: LinkHarm,
    prng: Prng,
    busy_until_ns: u64,
}

impl Active {
    fn is_for(&self, tcp: bool) -> bool {
        if tcp { self.harm.tcp } else { self.harm.udp }
    }
}

impl Link {
    /// When a message arrives that would have arrived at this time, or why it never will.
    pub(super) fn suffer(
        &mut self,
        now_ns: u64,
        arrives_ns: u64,
        bytes: usize,
        tcp: bool,
    ) -> Result<u64, Why> {
        let mut arrives_ns = arrives_ns;
        for active in self.harms.iter_mut().filter(|active| active.is_for(tcp)) {
            let prng = &mut active.prng;
            match active.harm.what {
                Harm::Slow(low, high) => arrives_ns += prng.duration(low, high).as_nanos() as u64,
                Harm::Lose(ratio) if prng.chance(ratio) => return Err(Why::Lost),
                Harm::Corrupt(ratio) if tcp && prng.chance(ratio) => return Err(Why::Lost),
                Harm::Blackhole => return Err(Why::Lost),
                Harm::Reorder(ratio) if prng.chance(ratio) => {
                    arrives_ns += prng.duration(Duration::ZERO, REORDER_BY).as_nanos() as u64;
                }
                Harm::Throttle(per_second) => {
                    let takes_ns = bytes as u64 * 1_000_000_000 / per_second.max(1);
                    let starts_ns = active.busy_until_ns.max(now_ns);
                    active.busy_until_ns = starts_ns + takes_ns;
                    arrives_ns += active.busy_until_ns - now_ns;
                }
                _ => {}
            }
        }
        Ok(arrives_ns)
    }

    /// What else befalls a datagram: perhaps a flipped bit, and a copy that arrives then.
    pub(super) fn suffer_datagram(&mut self, arrives_ns: u64, bytes: &mut [u8]) -> Option<u64> {
        let mut copy = None;
        for active in self.harms.iter_mut().filter(|active| active.is_for(false)) {
            let prng = &mut active.prng;
            match active.harm.what {
                Harm::Corrupt(ratio) if prng.chance(ratio) && !bytes.is_empty() => {
                    let bit = prng.below(bytes.len() as u64 * 8);
                    bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
                }
                Harm::Duplicate(ratio) if prng.chance(ratio) => {
                    let later = prng.duration(Duration::ZERO, REORDER_BY);
                    copy = Some(arrives_ns + later.as_nanos() as u64);
                }
                _ => {}
            }
        }
        copy
    }

    fn has(&self, tcp: bool, what: impl Fn(Harm) -> bool) -> bool {
        self.harms.iter().any(|active| active.is_for(tcp) && what(active.harm.what))
    }

    /// Whether a SYN on this link is answered with a refusal, whoever listens.
    pub(super) fn refuses(&self) -> bool {
        self.has(true, |harm| matches!(harm, Harm::Refuse | Harm::Reset))
    }
}

impl World {
    /// Keeps what arrives over a clogged link; gives back what does not.
    pub(super) fn hold_if_clogged(&mut self, event: Event) -> Option<Event> {
        if self.links.clogged == 0 {
            return Some(event);
        }
        let Some((from, to, tcp)) = self.route_of(&event) else { return Some(event) };
        match self.links.known(from, to) {
            Some(link) if link.has(tcp, |harm| harm == Harm::Clog) => {
                link.held.push(event);
                None
            }
            _ => Some(event),
        }
    }

    /// Which link a message that arrives came over, and whether it is of TCP.
    fn route_of(&self, event: &Event) -> Option<(HostId, HostId, bool)> {
        let (conn, lane) = match event {
            Event::Datagram(datagram) => {
                let (from, to) = datagram.route();
                return Some((from, to, false));
            }
            Event::Syn { conn } => (*conn, 0),
            Event::SynAck { conn } | Event::Refused { conn } => (*conn, 1),
            Event::Segment { conn, lane, .. } => (*conn, usize::from(*lane)),
            Event::Reset { conn, end } => (*conn, 1 - usize::from(*end)),
            Event::Timer { .. }
            | Event::SynRetry { .. }
            | Event::Retransmit { .. }
            | Event::WindowProbe { .. } => return None,
        };
        let conn = self.conns.get(conn)?;
        Some((conn.ends[lane].host, conn.ends[1 - lane].host, true))
    }
}

impl Fabric {
    /// Harms one direction of one link, until [`Fabric::mend`]. `id` names the harm; several links may
    /// share one.
    pub fn harm(&self, id: u64, from: HostId, to: HostId, harm: LinkHarm) {
        self.with_link(from, to, |link| {
            let prng = link.streams.fork(&format!("harm {}", harm.label));
            link.harms.push(Active { id, harm, prng, busy_until_ns: 0 });
        });
        let mut world = self.lock();
        match harm.what {
            Harm::Clog => world.links.clogged += 1,
            Harm::Reset if harm.tcp => world.reset_between(from, to),
            _ => {}
        }
    }

    /// Takes back what this harm does to this direction of this link.
    pub fn mend(&self, id: u64, from: HostId, to: HostId) {
        let (clogs, held) = self.with_link(from, to, |link| {
            let of_it = |active: &Active| active.id == id;
            let clogs = link.harms.iter().any(|one| of_it(one) && one.harm.what == Harm::Clog);
            link.harms.retain(|active| !of_it(active));
            // What another clog still holds is held again when it comes up.
            (clogs, std::mem::take(&mut link.held))
        });
        let mut world = self.lock();
        world.links.clogged -= usize::from(clogs);
        let now_ns = world.now_ns();
        for event in held {
            world.queue.push(now_ns, event);
        }
    }
}
