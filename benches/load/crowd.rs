//! Clients that ask at the same time, each on a connection of its own, one thing after the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::client::Client;
use crate::servers::{now, pause};

/// A request by the number of its connection and its own: method, path, body.
pub type Ask = fn(usize, usize) -> (&'static str, String, String);

/// What came of it.
pub struct Took {
    /// Latencies in ns, sorted.
    pub each: Vec<u64>,
    /// From the first request to the last answer.
    pub wall: Duration,
}

impl Took {
    /// The latency in ns that so many percent of the requests do not exceed.
    pub fn percentile(&self, share: usize) -> u64 {
        self.each[(self.each.len() - 1) * share / 100]
    }

    pub fn per_second(&self) -> f64 {
        self.each.len() as f64 / self.wall.as_secs_f64()
    }
}

/// Asks from so many connections for a while; the requests of each are numbered from `from` on.
pub fn ask_for(at: SocketAddr, connections: usize, span: Duration, from: usize, ask: Ask) -> Took {
    let stop = Arc::new(AtomicBool::new(false));
    let begun = now();
    let threads: Vec<_> = (0..connections)
        .map(|who| {
            let stop = stop.clone();
            #[expect(clippy::disallowed_methods, reason = "real clients ask at the same time")]
            thread::spawn(move || {
                let mut client = Client::connect(at).expect("a connection");
                let mut took = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let (method, path, body) = ask(who, from + took.len());
                    let asked = now();
                    client.ok(method, &path, &body).expect("an answer");
                    took.push(asked.elapsed().as_nanos() as u64);
                }
                took
            })
        })
        .collect();
    pause(span);
    stop.store(true, Ordering::Relaxed);
    let mut each: Vec<u64> =
        threads.into_iter().flat_map(|thread| thread.join().expect("a client")).collect();
    let wall = begun.elapsed();
    each.sort_unstable();
    Took { each, wall }
}
