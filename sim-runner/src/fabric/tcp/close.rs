//! The ways a connection ends.

use std::io;

use super::{Conn, Segment, State};
use crate::fabric::observer::HostId;
use crate::fabric::queue::Event;
use crate::fabric::slab::Key;
use crate::fabric::world::World;

impl World {
    /// A process drops one of its handles on an end; the last one closes it.
    pub fn tcp_release(&mut self, key: Key, end: usize) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let closing = &mut conn.ends[end];
        if closing.handles == 0 {
            return;
        }
        closing.handles -= 1;
        if closing.handles == 0 {
            self.tcp_close(key, end);
        }
    }

    /// A process holds one more handle on an end.
    pub fn tcp_retain(&mut self, key: Key, end: usize) {
        if let Some(conn) = self.conns.get_mut(key) {
            conn.ends[end].handles += 1;
        }
    }

    /// The process is done with an end. With unread data that is an RST, as on Linux: the peer must
    /// not believe that everything was read. Otherwise the kernel finishes what was written, and FIN.
    pub fn tcp_close(&mut self, key: Key, end: usize) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        conn.ends[end].handles = 0;
        conn.ends[end].reader = None;
        conn.ends[end].writer = None;
        match conn.ends[end].state {
            State::Opening => conn.ends[end].state = State::Gone,
            State::Open if conn.lanes[1 - end].unread > 0 => {
                return self.tcp_abort(key, end, io::ErrorKind::ConnectionAborted);
            }
            State::Open => {
                conn.ends[end].state = State::Closed;
                if !conn.lanes[end].fin_sent {
                    conn.lanes[end].fin_sent = true;
                    self.send_segment(key, end, Segment::Fin);
                }
            }
            State::Closed | State::Gone => {}
        }
        self.tcp_free(key);
    }

    /// Resets a connection from this end.
    pub fn tcp_abort(&mut self, key: Key, end: usize, error: io::ErrorKind) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        if conn.ends[end].state != State::Gone {
            conn.lanes[end].flight.clear();
            conn.lanes[end].round = conn.lanes[end].round.wrapping_add(1);
            conn.lose(end, error);
            self.send_reset(key, 1 - end);
        }
        self.tcp_free(key);
    }

    /// The machine of an end lost power: not a word to the peer.
    pub fn tcp_vanish(&mut self, key: Key, end: usize) {
        if let Some(conn) = self.conns.get_mut(key) {
            let vanished = &mut conn.ends[end];
            vanished.state = State::Gone;
            vanished.handles = 0;
            vanished.reader = None;
            vanished.writer = None;
            self.tcp_free(key);
        }
    }

    /// Something between two machines resets every connection that they have: both ends learn at once.
    pub fn reset_between(&mut self, a: HostId, b: HostId) {
        let between = |conn: &Conn| {
            let (from, to) = conn.route(0);
            (from, to) == (a, b) || (from, to) == (b, a)
        };
        let found = self.conns.iter().filter(|(_, conn)| between(conn));
        let keys: Vec<Key> = found.map(|(key, _)| key).collect();
        for key in keys {
            for end in [0, 1] {
                if let Some(conn) = self.conns.get_mut(key)
                    && matches!(conn.ends[end].state, State::Opening | State::Open)
                {
                    conn.lanes[end].flight.clear();
                    conn.lanes[end].round = conn.lanes[end].round.wrapping_add(1);
                    conn.lose(end, io::ErrorKind::ConnectionReset);
                }
            }
            self.tcp_free(key);
        }
    }

    /// An end fails for its own process.
    pub(super) fn tcp_lose(&mut self, key: Key, end: usize, error: io::ErrorKind) {
        if let Some(conn) = self.conns.get_mut(key) {
            conn.lose(end, error);
            self.tcp_free(key);
        }
    }

    /// Sends an RST to the sending end of a lane. It takes its turn behind what was sent before, and
    /// it is not sent again when it gets lost: the next segment provokes another.
    pub(super) fn send_reset(&mut self, key: Key, to_end: usize) {
        let Some(conn) = self.conns.get(key) else {
            return;
        };
        let (from, to) = conn.route(1 - to_end);
        if from == to {
            return self.reset_arrives(key, to_end);
        }
        match self.transmit(from, to, 0, true) {
            Ok(arrives_ns) => {
                let arrives_ns = arrives_ns.max(self.last_arrival_ns(key, 1 - to_end));
                self.queue.push(arrives_ns, Event::Reset { conn: key, end: to_end as u8 });
            }
            Err(why) => {
                self.report_dropped(from, to, true, &[], why);
                self.await_another_reset(key, to_end);
            }
        }
    }

    pub fn reset_arrives(&mut self, key: Key, end: usize) {
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let (from, to) = conn.route(1 - end);
        if conn.ends[end].state == State::Gone {
            return self.tcp_free(key);
        }
        if let Some(why) = self.blocked(from, to) {
            self.report_dropped(from, to, true, &[], why);
            return self.await_another_reset(key, end);
        }
        let Some(conn) = self.conns.get_mut(key) else {
            return;
        };
        let closed_before = conn.lanes[1 - end].fin_arrived;
        let error = match closed_before {
            true => io::ErrorKind::BrokenPipe,
            false => io::ErrorKind::ConnectionReset,
        };
        conn.lanes[end].flight.clear();
        self.tcp_lose(key, end, error);
    }

    /// The segment that an RST would have answered is still unacknowledged: its sender tries again.
    fn await_another_reset(&mut self, key: Key, end: usize) {
        let unanswered = self.conns.get(key).is_some_and(|conn| !conn.lanes[end].flight.is_empty());
        if unanswered {
            self.stall(key, end, 0);
        }
    }

    fn last_arrival_ns(&self, key: Key, lane: usize) -> u64 {
        self.conns.get(key).map_or(0, |conn| conn.lanes[lane].last_arrival_ns)
    }

    /// Forgets a connection that nobody needs.
    pub(super) fn tcp_free(&mut self, key: Key) {
        if self.conns.get(key).is_some_and(Conn::is_over) {
            self.conns.remove(key);
        }
    }
}
