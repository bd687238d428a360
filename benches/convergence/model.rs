//! Serf's published model of convergence.
//!
//! The Convergence Simulator of Serf's documentation (`docs/internals/simulator`, formula in
//! `website/source/assets/javascripts/_simulator.js` of hashicorp/serf, function
//! `convergenceAtRound`):
//!
//! ```text
//!   contact  = fanout / nodes · (1 − loss) · (1 − failed) · 0.5
//!   share(x) = 1 / (1 + (nodes + 1) · e^(−contact · nodes · x))        after x rounds of gossip
//! ```
//!
//! It is the logistic curve of an epidemic (SWIM paper, 4.1, after Bailey), with two liberties: from
//! one infected member of n it would be `nodes − 1`, and the factor 0.5 halves the rate of contact.
//! It knows no limit of retransmissions, no push/pull and no delay of messages.

/// Between two rounds of gossip of a LAN pool, seconds.
pub const ROUND_S: f64 = 0.2;
/// How many members are told in a round.
const FANOUT: f64 = 3.0;

/// The share of members that know, so many seconds after the first does; nothing is lost, nobody down.
pub fn share(nodes: usize, seconds: f64) -> f64 {
    let nodes = nodes as f64;
    let contact = FANOUT / nodes * 0.5;
    1.0 / (1.0 + (nodes + 1.0) * libm::exp(-contact * nodes * seconds / ROUND_S))
}
