//! Listening, connecting, accepting.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use super::{BACKLOG, Conn, End, Lane, ListenSocket, State};
use crate::fabric::observer::{HostId, Why};
use crate::fabric::queue::Event;
use crate::fabric::slab::Key;
use crate::fabric::world::World;

/// First timeout of a SYN; doubles with each attempt.
const FIRST_SYN_RETRY_NS: u64 = 1_000_000_000;
/// SYNs after the first (Linux' `tcp_syn_retries`): 1 + 2 + … + 64 s = 127 s.
const SYN_RETRIES: u8 = 6;

impl World {
    pub fn listen(&mut self, host: HostId, at: SocketAddr) -> io::Result<(Key, SocketAddr)> {
        self.check_own(host, at.ip())?;
        let local = self.host_mut(host).tcp_ports.admit(at)?;
        let socket = ListenSocket { host, local, backlog: VecDeque::new(), waiting: None };
        let listener = self.listeners.insert(socket);
        self.host_mut(host).tcp_ports.bind(local, listener);
        Ok((listener, local))
    }

    /// Closes a listener and resets what waits in its backlog.
    pub fn close_listener(&mut self, listener: Key, power: bool) {
        let Some(closed) = self.listeners.remove(listener) else {
            return;
        };
        self.host_mut(closed.host).tcp_ports.unbind(closed.local);
        for conn in closed.backlog {
            if power {
                self.tcp_abort(conn, 1, io::ErrorKind::ConnectionAborted);
            } else {
                self.tcp_vanish(conn, 1);
            }
        }
    }

    /// The next connection: its key, this end's address and the peer's.
    pub fn accept(
        &mut self,
        listener: Key,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Key, SocketAddr, SocketAddr)>> {
        let Some(socket) = self.listeners.get_mut(listener) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        while let Some(key) = socket.backlog.pop_front() {
            // A connection that was reset and forgotten while it waited is skipped.
            if let Some(conn) = self.conns.get_mut(key) {
                conn.ends[1].handles = 1;
                return Poll::Ready(Ok((key, conn.ends[1].addr, conn.ends[0].addr)));
            }
        }
        socket.waiting = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Starts to connect: the key of end 0 and its address.
    pub fn connect(&mut self, host: HostId, to: SocketAddr) -> io::Result<(Key, SocketAddr)> {
        let port = self.host_mut(host).tcp_ports.ephemeral()?;
        let local = SocketAddr::new(self.source_ip(host, to.ip()), port);
        // An address that no machine has is as silent as a machine without power: the connection is
        // to nobody, and ends 1 and 0 share a host only in name.
        let known = self.route(host, to.ip());
        let mut ends = [End::new(host, local, 1), End::new(known.unwrap_or(host), to, 0)];
        ends[1].state = State::Gone;
        let conn = self.conns.insert(Conn { ends, lanes: [Lane::new(), Lane::new()] });
        match known {
            Some(_) => self.send_syn(conn, 0),
            None => self.await_syn_answer(conn, 0),
        }
        Ok((conn, local))
    }

    /// Whether the connection has opened.
    pub fn poll_open(&mut self, conn: Key, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(conn) = self.conns.get_mut(conn) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let end = &mut conn.ends[0];
        match end.state {
            State::Open | State::Closed => Poll::Ready(Ok(())),
            State::Gone => {
                let kind = end.error.unwrap_or(io::ErrorKind::NotConnected);
                let text = format!("connect to {}: {kind}", conn.ends[1].addr);
                Poll::Ready(Err(io::Error::new(kind, text)))
            }
            State::Opening => {
                end.writer = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn send_syn(&mut self, key: Key, attempt: u8) {
        let Some(conn) = self.conns.get(key) else {
            return;
        };
        let (from, to) = conn.route(0);
        match self.transmit(from, to, 0, true) {
            Ok(arrives_ns) => self.queue.push(arrives_ns, Event::Syn { conn: key }),
            Err(why) => self.report_dropped(from, to, true, &[], why),
        }
        self.await_syn_answer(key, attempt);
    }

    fn await_syn_answer(&mut self, conn: Key, attempt: u8) {
        let retry_ns = self.now_ns() + (FIRST_SYN_RETRY_NS << attempt);
        self.queue.push(retry_ns, Event::SynRetry { conn, attempt: attempt + 1 });
    }

    pub fn syn_retry(&mut self, key: Key, attempt: u8) {
        let Some(conn) = self.conns.get(key) else {
            return;
        };
        let (from, wanted) = (conn.ends[0].host, conn.ends[1].addr);
        if conn.ends[0].state != State::Opening {
            return;
        }
        if attempt > SYN_RETRIES {
            self.tcp_lose(key, 0, io::ErrorKind::TimedOut);
        } else if self.route(from, wanted.ip()).is_none() {
            self.await_syn_answer(key, attempt);
        } else {
            self.send_syn(key, attempt);
        }
    }

    pub fn syn_arrives(&mut self, key: Key) {
        let Some(conn) = self.conns.get(key) else {
            return;
        };
        if conn.ends[0].state != State::Opening {
            return;
        }
        let (from, to) = conn.route(0);
        let wanted = conn.ends[1].addr;
        if let Some(why) = self.blocked(from, to) {
            return self.report_dropped(from, to, true, &[], why);
        }
        let refused = self.links.known(from, to).is_some_and(|link| link.refuses());
        let listener = self.host(to).tcp_ports.lookup(wanted).filter(|_| !refused);
        let Some(socket) = listener.and_then(|listener| self.listeners.get(listener)) else {
            return self.answer_syn(key, Event::Refused { conn: key });
        };
        if socket.backlog.len() < BACKLOG {
            self.answer_syn(key, Event::SynAck { conn: key });
        } else {
            // Linux ignores a SYN when the backlog is full; the peer tries again.
            self.report_dropped(from, to, true, &[], Why::BufferFull);
        }
    }

    fn answer_syn(&mut self, key: Key, answer: Event) {
        let Some(conn) = self.conns.get(key) else {
            return;
        };
        let (from, to) = conn.route(1);
        match self.transmit(from, to, 0, true) {
            Ok(arrives_ns) => self.queue.push(arrives_ns, answer),
            Err(why) => self.report_dropped(from, to, true, &[], why),
        }
    }

    /// Opens both ends, if the listener is still there.
    pub fn syn_ack_arrives(&mut self, key: Key) {
        let now_ns = self.now_ns();
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        if conn.ends[0].state != State::Opening {
            return;
        }
        let (from, to) = conn.route(1);
        let wanted = conn.ends[1].addr;
        if let Some(why) = self.blocked(from, to) {
            return self.report_dropped(from, to, true, &[], why);
        }
        if !self.host(from).up {
            return;
        }
        let listener = self.host(from).tcp_ports.lookup(wanted);
        let socket = listener.and_then(|listener| self.listeners.get_mut(listener));
        let Some(socket) = socket.filter(|socket| socket.backlog.len() < BACKLOG) else {
            return self.refusal_arrives(key);
        };
        socket.backlog.push_back(key);
        if let Some(waker) = socket.waiting.take() {
            waker.wake();
        }
        if let Some(conn) = self.conns.get_mut(key) {
            for (end, lane) in conn.ends.iter_mut().zip(&mut conn.lanes) {
                end.state = State::Open;
                lane.last_arrival_ns = now_ns;
            }
            conn.ends[0].wake_writer();
        }
    }

    pub fn refusal_arrives(&mut self, key: Key) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        if conn.ends[0].state == State::Opening {
            let (from, to) = conn.route(1);
            match self.blocked(from, to) {
                Some(why) => self.report_dropped(from, to, true, &[], why),
                None => self.tcp_lose(key, 0, io::ErrorKind::ConnectionRefused),
            }
        }
    }
}
