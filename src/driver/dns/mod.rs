//! DNS's sockets: where questions come in, and how recursors are reached (spec api 4.1).
//!
//! ```text
//!   datagrams ─► one task ─► a task for each question, so many at once ─► datagrams
//!   connections ─► a task for each, one question after the other
//! ```
//!
//! Bounded: questions and connections at work, connections of one address, questions on one connection,
//! sockets to recursors; a datagram that finds no room waits in the system's buffer, or is lost there, as
//! datagrams are. Whoever sends slowly loses the connection.

mod ports;
mod upstream;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::agent::{Failure, Reply, Request};
use crate::base::metrics::Metrics;
use crate::base::runtime::{Level, Runtime};
use crate::base::{Duration, Faults, Instant, Prng, WallTime};
use crate::config;
use crate::dns::{self, Server, Settings, Transport};
use crate::raft::Profile;

use super::mailbox::Handle;
use super::reload::Reloads;

pub(super) use ports::listen;

/// Recursors are asked so many questions at once: each takes a socket.
const UPSTREAM_MAX: usize = 256;

/// The node as its DNS sees it.
#[derive(Clone)]
pub(super) struct DnsFront<R> {
    runtime: R,
    handle: Handle,
    prng: Arc<Mutex<Prng>>,
    metrics: Metrics,
    logger: &'static str,
    upstream: Arc<Semaphore>,
    faults: Faults,
}

/// An agent's DNS.
pub(super) fn server<R: Runtime>(
    runtime: &R,
    config: &config::AgentConfig,
    handle: &Handle,
    prng: &Prng,
    (metrics, faults): (&Metrics, Faults),
) -> Server<DnsFront<R>> {
    let front = DnsFront {
        runtime: runtime.clone(),
        handle: handle.clone(),
        prng: Arc::new(Mutex::new(prng.fork("dns"))),
        metrics: metrics.clone(),
        logger: if config.profile == Profile::Legacy { "dns" } else { "agent.dns" },
        upstream: Arc::new(Semaphore::new(UPSTREAM_MAX)),
        faults,
    };
    Server::new(front, settings(config))
}

impl<R: Runtime> dns::Backend for DnsFront<R> {
    async fn ask(&self, request: Request) -> Result<Reply, Failure> {
        self.handle.ask(request).await
    }

    async fn exchange(
        &self,
        recursor: SocketAddr,
        over: Transport,
        message: Vec<u8>,
        within: Duration,
    ) -> io::Result<Vec<u8>> {
        // The semaphore is never closed.
        let _seat = self.upstream.acquire().await.map_err(io::Error::other)?;
        let asked = upstream::exchange(&self.runtime, recursor, over, &message);
        self.runtime.timeout(within, asked).await?
    }

    fn shuffle<T>(&self, things: &mut [T]) {
        self.prng.lock().unwrap_or_else(PoisonError::into_inner).shuffle(things);
    }

    fn draw(&self) -> u64 {
        self.prng.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }

    fn now(&self) -> Instant {
        self.runtime.now()
    }

    fn wall_clock(&self) -> WallTime {
        self.runtime.wall_clock()
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn faults(&self) -> Faults {
        self.faults.clone()
    }

    fn log(&self, level: Level, text: fmt::Arguments<'_>) {
        self.runtime.log(level, self.logger, text);
    }
}

/// `dns_config`, `domain`, `alt_domain`, `recursors`: questions under way keep what they began with.
impl<R: Runtime> Reloads for Server<DnsFront<R>> {
    fn reload(&self, config: &config::AgentConfig) -> Result<(), String> {
        self.set(settings(config));
        Ok(())
    }
}

/// What DNS is told of the configuration.
fn settings(config: &config::AgentConfig) -> Settings {
    Settings {
        node_name: config.node_name.clone(),
        datacenter: config.datacenter.clone(),
        profile: config.profile,
        config: config.dns.settings.clone(),
    }
}
