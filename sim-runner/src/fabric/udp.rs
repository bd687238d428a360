//! UDP: datagrams that arrive once, late, twice or never.
//!
//! Each datagram has a latency of its own, so reordering is natural. A socket holds what has arrived
//! until it is received or [`BUFFER_BYTES`] are waiting. Taking a datagram is the last thing a receive
//! does, so a cancelled one loses nothing.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use proconsul::base::runtime::Datagrams;

use super::observer::{HostId, Why};
use super::process::Process;
use super::queue::Event;
use super::slab::Key;
use super::world::World;

/// What a socket holds: Linux's default `rmem_default`.
const BUFFER_BYTES: usize = 212_992;
/// What each datagram costs of it beyond its bytes (the kernel's bookkeeping, roughly).
const OVERHEAD_BYTES: usize = 256;
/// The largest payload of UDP over IPv4.
const MAX_PAYLOAD: usize = 65_507;
/// Linux's error number for a message that is too long.
const EMSGSIZE: i32 = 90;

pub(super) struct DatagramSocket {
    pub host: HostId,
    local: SocketAddr,
    arrived: VecDeque<(Vec<u8>, SocketAddr)>,
    arrived_bytes: usize,
    waiting: Vec<Waker>,
}

/// One datagram on the wire.
pub(super) struct Datagram {
    from_host: HostId,
    to_host: HostId,
    from: SocketAddr,
    to: SocketAddr,
    payload: Vec<u8>,
}

impl Datagram {
    /// Sender and receiver.
    pub fn route(&self) -> (HostId, HostId) {
        (self.from_host, self.to_host)
    }
}

impl World {
    fn bind_datagrams(&mut self, host: HostId, at: SocketAddr) -> io::Result<(Key, SocketAddr)> {
        self.check_own(host, at.ip())?;
        let local = self.host_mut(host).udp_ports.admit(at)?;
        let socket = self.datagram_sockets.insert(DatagramSocket {
            host,
            local,
            arrived: VecDeque::new(),
            arrived_bytes: 0,
            waiting: Vec::new(),
        });
        self.host_mut(host).udp_ports.bind(local, socket);
        Ok((socket, local))
    }

    pub fn close_datagrams(&mut self, socket: Key) {
        if let Some(closed) = self.datagram_sockets.remove(socket) {
            self.host_mut(closed.host).udp_ports.unbind(closed.local);
        }
    }

    fn send_datagram(&mut self, socket: Key, payload: &[u8], to: SocketAddr) -> io::Result<usize> {
        let sender = self.datagram_sockets.get(socket).ok_or(io::ErrorKind::NotConnected)?;
        if payload.len() > MAX_PAYLOAD {
            return Err(io::Error::from_raw_os_error(EMSGSIZE));
        }
        let (from_host, mut from) = (sender.host, sender.local);
        if from.ip().is_unspecified() {
            from.set_ip(self.source_ip(from_host, to.ip()));
        }
        let Some(to_host) = self.route(from_host, to.ip()) else {
            return Ok(payload.len());
        };
        let mut datagram = Datagram { from_host, to_host, from, to, payload: payload.to_vec() };
        if from_host == to_host {
            self.datagram_arrives(datagram);
            return Ok(payload.len());
        }
        match self.transmit(from_host, to_host, payload.len(), false) {
            Err(why) => self.report_dropped(from_host, to_host, false, payload, why),
            Ok(arrives_ns) => {
                let (mut arrives_ns, mut copy_ns) = (arrives_ns, None);
                if let Some(link) = self.links.known(from_host, to_host) {
                    (arrives_ns, copy_ns) = link.mistreat(arrives_ns, &mut datagram.payload);
                }
                if let Some(copy_ns) = copy_ns {
                    let copy = Datagram { payload: datagram.payload.clone(), ..datagram };
                    self.queue.push(copy_ns, Event::Datagram(Box::new(copy)));
                }
                self.queue.push(arrives_ns, Event::Datagram(Box::new(datagram)));
            }
        }
        Ok(payload.len())
    }

    pub fn datagram_arrives(&mut self, datagram: Datagram) {
        let Datagram { from_host, to_host, from, to, payload } = datagram;
        if let Some(why) = self.blocked(from_host, to_host) {
            return self.report_dropped(from_host, to_host, false, &payload, why);
        }
        let cost = payload.len() + OVERHEAD_BYTES;
        let found = self.host(to_host).udp_ports.lookup(to);
        let refused = match found.and_then(|key| self.datagram_sockets.get(key)) {
            None => Some(Why::ClosedPort),
            Some(full) if full.arrived_bytes + cost > BUFFER_BYTES => Some(Why::BufferFull),
            Some(_) => None,
        };
        if let Some(why) = refused {
            return self.report_dropped(from_host, to_host, false, &payload, why);
        }
        self.report_delivered(from_host, to_host, false, &payload);
        if let Some(socket) = found.and_then(|key| self.datagram_sockets.get_mut(key)) {
            socket.arrived_bytes += cost;
            socket.arrived.push_back((payload, from));
            for waker in socket.waiting.drain(..) {
                waker.wake();
            }
        }
    }

    fn receive_datagram(
        &mut self,
        socket: Key,
        cx: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let Some(socket) = self.datagram_sockets.get_mut(socket) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        if let Some((payload, from)) = socket.arrived.pop_front() {
            socket.arrived_bytes -= payload.len() + OVERHEAD_BYTES;
            let taken = payload.len().min(into.len());
            into[..taken].copy_from_slice(&payload[..taken]);
            return Poll::Ready(Ok((taken, from)));
        }
        if !socket.waiting.iter().any(|known| known.will_wake(cx.waker())) {
            socket.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// A UDP socket of a simulated process.
pub struct SimDatagrams {
    process: Arc<Process>,
    key: Key,
    local: SocketAddr,
}

impl SimDatagrams {
    pub(super) fn bind(process: &Arc<Process>, at: SocketAddr) -> io::Result<Self> {
        let (key, local) = process.open()?.bind_datagrams(process.host, at)?;
        Ok(Self { process: process.clone(), key, local })
    }
}

impl Datagrams for SimDatagrams {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.process.open()?.send_datagram(self.key, bytes, to)
    }

    async fn recv_from(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        poll_fn(|cx| self.process.open()?.receive_datagram(self.key, cx, into)).await
    }
}

impl Drop for SimDatagrams {
    fn drop(&mut self) {
        // A dead process' sockets were closed with it; this key leads nowhere then.
        self.process.fabric.lock().close_datagrams(self.key);
    }
}
