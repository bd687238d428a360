//! The state of the simulated machines and the wires between them, behind one lock.
//!
//! The lock is never contended: a simulation has one thread. It is held while wakers are woken, which
//! is safe because waking a madsim task only queues it; and it is *not* held while madsim drops tasks
//! (their `Drop` code closes sockets and would lock again), see [`Fabric::kill`](super::Fabric::kill).

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use madsim::time::TimeHandle;
use proconsul::base::runtime::Signal;
use proconsul::base::{Instant, Prng};
use xxhash_rust::xxh3::xxh3_64;

use super::clock::NodeClock;
use super::disk::DiskImage;
use super::link::Links;
use super::observer::{HostId, Message, Observer, Why};
use super::process::Process;
use super::queue::{Event, Queue};
use super::slab::{Key, Slab};
use super::tcp::{Conn, ListenSocket};
use super::timer::TimerSlot;
use super::udp::DatagramSocket;

/// First port of the range for port 0 and for outgoing connections (IANA's dynamic range).
const FIRST_EPHEMERAL_PORT: u16 = 49_152;

/// Locks, also after a panic elsewhere: no operation leaves the state half done across user code.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct World {
    pub time: TimeHandle,
    pub queue: Queue,
    pub timers: Slab<TimerSlot>,
    pub hosts: Vec<Host>,
    pub by_name: BTreeMap<String, HostId>,
    pub by_ip: BTreeMap<IpAddr, HostId>,
    pub links: Links,
    /// Which directed links each fault cuts; a link may stand there more than once.
    pub cuts: BTreeMap<u64, Vec<(HostId, HostId)>>,
    pub conns: Slab<Conn>,
    pub listeners: Slab<ListenSocket>,
    pub datagram_sockets: Slab<DatagramSocket>,
    pub observer: Arc<dyn Observer>,
    pub streams: Prng,
}

/// A machine: its kernel and its disk. Its process comes and goes.
pub(super) struct Host {
    pub name: String,
    pub ip: IpAddr,
    /// Has power.
    pub up: bool,
    /// How many processes it has had: the epoch of the present one.
    pub boots: u32,
    pub process: Option<Arc<Process>>,
    /// Commands that run beside it.
    pub guests: Vec<Arc<Process>>,
    /// How many of them there have been.
    pub visits: u32,
    pub paused: bool,
    pub disk: Arc<Mutex<DiskImage>>,
    pub clock: Arc<NodeClock>,
    pub lookups_fail: bool,
    pub signals: VecDeque<Signal>,
    pub signal_waker: Option<Waker>,
    pub tcp_ports: Ports,
    pub udp_ports: Ports,
}

/// Bound sockets of one protocol on one host.
pub(super) struct Ports {
    bound: BTreeMap<(u16, IpAddr), Key>,
    next_ephemeral: u16,
}

impl Ports {
    pub fn new() -> Self {
        Self { bound: BTreeMap::new(), next_ephemeral: FIRST_EPHEMERAL_PORT }
    }

    /// A port of the dynamic range on which nothing is bound.
    pub fn ephemeral(&mut self) -> io::Result<u16> {
        for _ in FIRST_EPHEMERAL_PORT..=u16::MAX {
            let port = self.next_ephemeral;
            self.next_ephemeral = port.checked_add(1).unwrap_or(FIRST_EPHEMERAL_PORT);
            if !self.is_bound(port) {
                return Ok(port);
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "every port of the dynamic range is bound"))
    }

    fn is_bound(&self, port: u16) -> bool {
        self.range(port).next().is_some()
    }

    fn range(&self, port: u16) -> impl Iterator<Item = (&(u16, IpAddr), &Key)> {
        let lowest = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        self.bound.range((port, lowest)..).take_while(move |((at, _), _)| *at == port)
    }

    /// Chooses the port if it is 0; refuses an address that overlaps a bound one.
    pub fn admit(&mut self, at: SocketAddr) -> io::Result<SocketAddr> {
        if at.port() == 0 {
            return Ok(SocketAddr::new(at.ip(), self.ephemeral()?));
        }
        let overlaps =
            |ip: IpAddr| ip == at.ip() || ip.is_unspecified() || at.ip().is_unspecified();
        if self.range(at.port()).any(|((_, ip), _)| overlaps(*ip)) {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{at} is in use")));
        }
        Ok(at)
    }

    pub fn bind(&mut self, at: SocketAddr, socket: Key) {
        self.bound.insert((at.port(), at.ip()), socket);
    }

    pub fn unbind(&mut self, at: SocketAddr) {
        self.bound.remove(&(at.port(), at.ip()));
    }

    /// The socket that gets what is sent to this address.
    pub fn lookup(&self, to: SocketAddr) -> Option<Key> {
        let exact = self.bound.get(&(to.port(), to.ip()));
        exact.copied().or_else(|| {
            self.range(to.port()).find(|((_, ip), _)| ip.is_unspecified()).map(|(_, key)| *key)
        })
    }
}

impl World {
    pub fn now_ns(&self) -> u64 {
        self.time.elapsed().as_nanos() as u64
    }

    pub fn now(&self) -> Instant {
        Instant::from_nanos(self.now_ns())
    }

    pub fn host(&self, id: HostId) -> &Host {
        &self.hosts[usize::from(id.0)]
    }

    pub fn host_mut(&mut self, id: HostId) -> &mut Host {
        &mut self.hosts[usize::from(id.0)]
    }

    /// Runs every event whose time has come; the time up to which it did.
    pub fn run_due(&mut self) -> u64 {
        let now_ns = self.now_ns();
        while let Some(event) = self.queue.pop_due(now_ns) {
            let Some(event) = self.hold_if_clogged(event) else { continue };
            match event {
                Event::Timer { timer, at_ns } => self.timer_due(timer, at_ns, now_ns),
                Event::Syn { conn } => self.syn_arrives(conn),
                Event::SynRetry { conn, attempt } => self.syn_retry(conn, attempt),
                Event::SynAck { conn } => self.syn_ack_arrives(conn),
                Event::Refused { conn } => self.refusal_arrives(conn),
                Event::Segment { conn, lane, round } => {
                    self.segment_arrives(conn, usize::from(lane), round);
                }
                Event::Retransmit { conn, lane } => self.retransmit(conn, usize::from(lane)),
                Event::WindowProbe { conn, lane, tries } => {
                    self.window_probe(conn, usize::from(lane), tries);
                }
                Event::Reset { conn, end } => self.reset_arrives(conn, usize::from(end)),
                Event::Datagram(datagram) => self.datagram_arrives(*datagram),
            }
        }
        now_ns
    }

    /// Sends one message over the wire: when it will arrive, or why it never will.
    pub fn transmit(
        &mut self,
        from: HostId,
        to: HostId,
        bytes: usize,
        tcp: bool,
    ) -> Result<u64, Why> {
        let now_ns = self.now_ns();
        if from == to {
            return Ok(now_ns);
        }
        let unexplained_ns = self.links.unexplained_ns();
        let names = (&*self.hosts[usize::from(from.0)].name, &*self.hosts[usize::from(to.0)].name);
        let link = self.links.get(from, to, names);
        Ok(link.depart(now_ns, bytes, tcp)? + unexplained_ns)
    }

    /// Whether a message that is about to arrive meets a cut or a dead machine.
    pub fn blocked(&mut self, from: HostId, to: HostId) -> Option<Why> {
        if self.is_cut(from, to) {
            Some(Why::Cut)
        } else if !self.host(to).up {
            Some(Why::HostDown)
        } else {
            None
        }
    }

    pub fn is_cut(&mut self, from: HostId, to: HostId) -> bool {
        from != to && self.links.known(from, to).is_some_and(|link| link.cuts > 0)
    }

    /// The host that this address leads to from here.
    pub fn route(&self, from: HostId, to: IpAddr) -> Option<HostId> {
        if to.is_loopback() || to.is_unspecified() {
            return Some(from);
        }
        self.by_ip.get(&to).copied()
    }

    /// The address that `from` appears under at `to`, when its socket does not say.
    pub fn source_ip(&self, from: HostId, to: IpAddr) -> IpAddr {
        match to {
            IpAddr::V4(v4) if v4.is_loopback() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(v6) if v6.is_loopback() => v6.into(),
            _ => self.host(from).ip,
        }
    }

    /// Refuses addresses that are not this host's.
    pub fn check_own(&self, host: HostId, at: IpAddr) -> io::Result<()> {
        if at.is_unspecified() || at.is_loopback() || at == self.host(host).ip {
            return Ok(());
        }
        let text = format!("{at} is not an address of {}", self.host(host).name);
        Err(io::Error::new(io::ErrorKind::AddrNotAvailable, text))
    }

    pub fn report_delivered(&self, from: HostId, to: HostId, tcp: bool, payload: &[u8]) {
        self.observer.delivered(self.now(), &message(from, to, tcp, payload));
    }

    pub fn report_dropped(&self, from: HostId, to: HostId, tcp: bool, payload: &[u8], why: Why) {
        self.observer.dropped(self.now(), &message(from, to, tcp, payload), why);
    }

    /// Closes everything the host's process had open. `power` tells whether its kernel lives on to
    /// say so to the peers.
    pub fn close_sockets(&mut self, host: HostId, power: bool) {
        let of_host: Vec<Key> =
            self.listeners.iter().filter(|(_, it)| it.host == host).map(|(key, _)| key).collect();
        for listener in of_host {
            self.close_listener(listener, power);
        }
        let of_host: Vec<Key> = self
            .datagram_sockets
            .iter()
            .filter(|(_, it)| it.host == host)
            .map(|(key, _)| key)
            .collect();
        for socket in of_host {
            self.close_datagrams(socket);
        }
        let of_host: Vec<(Key, usize)> = self
            .conns
            .iter()
            .flat_map(|(key, conn)| [(key, conn, 0), (key, conn, 1)])
            .filter(|(_, conn, end)| conn.ends[*end].host == host)
            .map(|(key, _, end)| (key, end))
            .collect();
        for (conn, end) in of_host {
            if power {
                self.tcp_close(conn, end);
            } else {
                self.tcp_vanish(conn, end);
            }
        }
        let host = self.host_mut(host);
        host.signals.clear();
        host.signal_waker = None;
    }
}

fn message(from: HostId, to: HostId, tcp: bool, payload: &[u8]) -> Message {
    Message { from, to, tcp, bytes: payload.len() as u32, hash: xxh3_64(payload) }
}
