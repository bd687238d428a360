//! Large pools: two halves that were cut apart become one pool again.
//!
//! Which part of the protocol heals, and in what time (spec cluster 1.9, 1.10, 1.14, 2.11). At the end
//! of a long cut each half has given the other up and gossips no more to its dead; the periodic
//! push/pulls go to the living. So the first to cross are Serf's reconnects:
//!
//! ```text
//!   a1 ── "all of B is dead" ──► b      who is accused on the other side is suspected where it lives,
//!   a1 ◄─ "all of A is dead" ── b       hears of it, and contradicts under a new incarnation
//!   a2 ◄─ "b lives, by newer word" ── b      whoever tries b after that has a living friend in B, and
//!   a2 ◄── gossip, both ways ──► b           from then on gossip crosses: that is most of the work
//! ```
//!
//! * A **round** is one reconnect interval, 30 s: as many are failed as are left, so the chance that a
//!   member tries is one. Two rounds at the longest: who answers has sent its state before it reads the
//!   accusation. One, mostly, because in one round somebody is tried twice.
//! * A **drain** is the time in which a member sends what a half has to say: `n / 2` pieces of news, each
//!   as often as the retransmission limit says, three datagrams in 200 ms, so many pieces in a datagram;
//!   doubled, because the news comes while older news is still being sent.
//!
//! Whoever is declared dead at home meanwhile, because its word was late in the crowd, contradicts that
//! too: one suspicion at its longest, and a drain, are room for that.

use proconsul::base::{Duration, Instant};
use proconsul::gossip::Status;
use proconsul::gossip::swim::formulas::{retransmit_limit, suspicion_min};

use crate::pool_cluster::Network;

/// Long enough for every member of the other half to be probed, suspected, declared dead, and to be
/// gossiped to no more.
const CUT: Duration = Duration::from_secs(150);
const RECONNECT: Duration = Duration::from_secs(30);
/// Three datagrams each 200 ms.
const DATAGRAMS_PER_SECOND: u64 = 15;
/// Of 42 bytes each in 1400 (`gossip_codec.rs`).
const NEWS_PER_DATAGRAM: u64 = 33;

/// How a pool came together again.
pub struct Reunion {
    /// From the end of the cut until everybody listed everybody as alive; none: it did not in time.
    pub took: Option<Duration>,
    /// In which it must.
    pub bound: Duration,
}

/// Two rounds, two drains, and what the late are allowed.
fn bound(members: usize) -> Duration {
    let transmissions = u64::from(retransmit_limit(4, members)) * members as u64 / 2;
    let drain_ms = 2 * transmissions * 1000 / NEWS_PER_DATAGRAM / DATAGRAMS_PER_SECOND;
    let drain = Duration::from_millis(drain_ms);
    let suspicion = 6 * suspicion_min(4, members, Duration::from_secs(1));
    2 * (RECONNECT + drain) + suspicion + drain
}

/// Whether all list all as alive; says who does not.
fn stranger(network: &Network) -> Option<(usize, usize)> {
    let all = 0..network.seats.len();
    let pairs = all.clone().flat_map(|at| all.clone().map(move |of| (at, of)));
    pairs.into_iter().find(|(at, of)| network.status(*at, *of) != Some(Status::Alive))
}

/// Cuts a pool in half for a long time, and heals it.
///
/// # Panics
/// When the halves did not give each other up.
pub fn reunite(members: usize, seed: u64) -> Reunion {
    let mut network = Network::joined(members, seed);
    while let Some((at, of)) = stranger(&network) {
        assert!(network.now.since(Instant::ZERO) < CUT, "n{at} does not know n{of}");
        network.run(Duration::from_secs(1));
    }
    let half: Vec<usize> = (0..members / 2).collect();
    network.cut(&half);
    network.run(CUT);
    for (at, of) in [(0, members - 1), (members - 1, 0)] {
        assert_eq!(network.status(at, of), Some(Status::Failed), "n{at} has not given up n{of}");
    }
    network.heal();
    let (healed, bound) = (network.now, bound(members));
    while network.now.since(healed) < bound {
        network.run(Duration::from_secs(1));
        if stranger(&network).is_none() {
            return Reunion { took: Some(network.now.since(healed)), bound };
        }
    }
    Reunion { took: None, bound }
}

/// A thousand take too long for a test: `cargo bench --bench convergence` does that.
#[test]
fn two_halves_of_two_hundred_become_one_pool_again() {
    let Reunion { took, bound } = reunite(200, 7);
    assert!(took.is_some(), "after {bound:?} they are still strangers");
}
