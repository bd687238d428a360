//! Which agents' opinions of each other an event may change: shared by the properties that keep a list
//! of who is wrong about whom.
//!
//! ```text
//!  n2: failed n3                   n2 of n3, and n3 of n2
//!  n2: joined n2, its first word   n2 of everybody, and everybody of n2: it is in the pool now
//!  n2 started, ended, paused       the same, in both pools
//! ```
//!
//! A boot of two hundred agents tells of forty thousand joins. Looking at all pairs after each would
//! take eighty thousand times as long as looking at these. What a property asks about a pair may
//! depend on nothing else: on whether either runs, whether either belongs to the pool, and what
//! either makes of the other.

use crate::trace::event::{Host, Pool, What};
use crate::trace::members::{POOLS, agents, host_of};

use super::oracle::Seen;

/// Observer and observed, in both orders; each pool for itself.
pub fn touched(seen: Seen<'_>) -> Vec<(Pool, Host, Host)> {
    let own = seen.event.host;
    match &seen.event.what {
        What::Member { pool, about, .. } => {
            let other = host_of(seen.view, *pool, about);
            let listed = seen.view.node(own).members.of(*pool).len();
            match other {
                // Whether it belongs to the pool is told by its word of itself, and by its first and last
                // word of anybody.
                _ if other == Some(own) || listed <= 1 => with_everybody(seen, *pool),
                Some(other) => vec![(*pool, own, other), (*pool, other, own)],
                None => Vec::new(),
            }
        }
        What::Started | What::Ended { .. } | What::Paused | What::Resumed => {
            POOLS.iter().flat_map(|pool| with_everybody(seen, *pool)).collect()
        }
        _ => Vec::new(),
    }
}

fn with_everybody(seen: Seen<'_>, pool: Pool) -> Vec<(Pool, Host, Host)> {
    let own = seen.event.host;
    let others = agents(seen.view).filter(|other| *other != own);
    others.flat_map(|other| [(pool, own, other), (pool, other, own)]).collect()
}
