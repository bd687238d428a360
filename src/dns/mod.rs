//! L3: Consul's DNS interface, as 1.9.8 answers (spec api 4).
//!
//! ```text
//!   bytes ─► message ─► answer ─┬─► zone ─► name ─┬─► service ─┐
//!                               ├─► reverse       ├─► node     ├─► lookup ─► Backend::ask
//!                               └─► recursion     └─► query ───┘
//!   bytes ◄─ message ◄─ trim ◄──┘
//! ```
//!
//! Translation only: names become [`agent::Request`](crate::agent::Request)s, rows become records. Where the
//! bytes come from, how many questions are worked on at once, and how a recursor is reached is the
//! driver's. Random are the order of instances and of recursors, and the numbers of questions to
//! recursors: all from the node's own stream.
//!
//! Invariants: whatever comes in, nothing panics, and what goes out fits the asker's limit.
//!
//! Deliberately not here: the mesh (`.connect`, `.ingress` name nobody), DNSSEC, zone transfers.

mod answer;
mod cache;
mod lookup;
mod message;
mod name;
mod node;
mod records;
mod recursion;
mod reverse;
mod service;
mod settings;
mod trim;
mod zone;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;

use crate::agent::{Failure, Reply, Request};
use crate::base::Duration;
use crate::base::metrics::Metrics;
use crate::base::runtime::Level;
use crate::base::{Faults, Instant, WallTime};

pub use answer::Server;
pub use message::MAX_MESSAGE;
pub use name::Asked;
pub use settings::Settings;

/// How a question came, which limits its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram.
    Udp,
    /// On a connection.
    Tcp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        })
    }
}

/// What DNS needs of a node.
pub trait Backend: Clone + Send + Sync + 'static {
    /// Puts a question to the agent. Dropping the future withdraws it.
    fn ask(&self, request: Request) -> impl Future<Output = Result<Reply, Failure>> + Send;
    /// Sends a message to a recursor, and waits so long for one from there with the same number.
    fn exchange(
        &self,
        recursor: SocketAddr,
        over: Transport,
        message: Vec<u8>,
        within: Duration,
    ) -> impl Future<Output = io::Result<Vec<u8>>> + Send;
    /// Puts things into a random order, by the node's own stream.
    fn shuffle<T>(&self, things: &mut [T]);
    /// A random number, from the same stream.
    fn draw(&self) -> u64;
    /// This node's monotonic clock.
    fn now(&self) -> Instant;
    /// This node's wall clock: serial numbers.
    fn wall_clock(&self) -> WallTime;
    /// Where figures are kept.
    fn metrics(&self) -> &Metrics;
    /// Which planted bugs are on.
    fn faults(&self) -> Faults {
        Faults::none()
    }
    /// Logs a line of DNS.
    fn log(&self, level: Level, text: fmt::Arguments<'_>);
}
