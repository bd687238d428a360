//! A backend for DNS: one state store, no log, no other server; recursors that a test makes up.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use proconsul::agent::{Failure, ReadMeta, ReadMode, Reply, Request};
use proconsul::base::metrics::Metrics;
use proconsul::base::runtime::Level;
use proconsul::base::{Duration, Faults, Instant, LogIndex, Prng, WallTime};
use proconsul::dns::{Backend, Server, Settings, Transport};
use proconsul::state::{Command, StateStore};

use crate::http_store::now;

/// What a recursor says: a whole message, or nothing.
pub type Recursor = fn(&[u8]) -> io::Result<Vec<u8>>;

#[derive(Clone)]
pub struct DnsStore(Arc<Mutex<Shared>>, Metrics);

pub struct Shared {
    pub store: StateStore,
    pub index: u64,
    prng: Prng,
    /// How long ago this server heard of its leader.
    pub last_contact: Duration,
    /// Reads of any server, and of the leader, fail with it.
    pub failures: [Option<Failure>; 2],
    /// In which modes was read.
    pub modes: Vec<ReadMode>,
    pub recursors: BTreeMap<SocketAddr, Recursor>,
    /// Who was asked.
    pub asked: Vec<(SocketAddr, Transport)>,
    pub log: Vec<String>,
}

impl DnsStore {
    pub fn new(seed: u64) -> Self {
        let shared = Shared {
            store: StateStore::new(),
            index: 0,
            prng: Prng::new(seed),
            last_contact: Duration::ZERO,
            failures: [None, None],
            modes: Vec::new(),
            recursors: BTreeMap::new(),
            asked: Vec::new(),
            log: Vec::new(),
        };
        Self(Arc::new(Mutex::new(shared)), Metrics::default())
    }

    pub fn shared(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().expect("no test panics while it holds this")
    }

    pub fn write(&self, command: &Command) {
        let mut shared = self.shared();
        shared.index += 1;
        let index = LogIndex(shared.index);
        let _: (_, Vec<_>) = shared.store.apply(index, command, &Faults::none());
    }

    /// What DNS with these settings says to a message.
    pub fn answer(&self, settings: &Settings, bytes: &[u8], over: Transport) -> Option<Vec<u8>> {
        let server = Server::new(self.clone(), settings.clone());
        now(server.answer(bytes, SocketAddr::from(([10, 0, 0, 77], 5353)), over))
    }
}

impl Backend for DnsStore {
    async fn ask(&self, request: Request) -> Result<Reply, Failure> {
        let Request::Read { query, options } = request else { panic!("{request:?}") };
        let mut shared = self.shared();
        shared.modes.push(options.mode);
        if let Some(failure) = &shared.failures[usize::from(options.mode != ReadMode::Stale)] {
            return Err(failure.clone());
        }
        let is_stale = options.mode == ReadMode::Stale;
        let last_contact = if is_stale { shared.last_contact } else { Duration::ZERO };
        let meta = ReadMeta { index: shared.index.max(1), known_leader: true, last_contact };
        Ok(Reply::Read { answer: shared.store.query(&query), meta })
    }

    async fn exchange(
        &self,
        recursor: SocketAddr,
        over: Transport,
        message: Vec<u8>,
        _within: Duration,
    ) -> io::Result<Vec<u8>> {
        let mut shared = self.shared();
        shared.asked.push((recursor, over));
        let silent: Recursor = |_| Err(io::ErrorKind::TimedOut.into());
        shared.recursors.get(&recursor).copied().unwrap_or(silent)(&message)
    }

    fn shuffle<T>(&self, things: &mut [T]) {
        self.shared().prng.shuffle(things);
    }

    fn draw(&self) -> u64 {
        self.shared().prng.next_u64()
    }

    fn now(&self) -> Instant {
        Instant::ZERO
    }

    fn wall_clock(&self) -> WallTime {
        WallTime(1_700_000_000_000_000_000)
    }

    fn metrics(&self) -> &Metrics {
        &self.1
    }

    fn log(&self, level: Level, text: fmt::Arguments<'_>) {
        if level > Level::Debug {
            self.shared().log.push(text.to_string());
        }
    }
}
