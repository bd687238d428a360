//! TCP: ordered, windowed byte streams that fail the way Linux' do.
//!
//! ```text
//!   end 0 (connected)                                           end 1 (accepted)
//!   poll_write ─► lane 0: flight [seg][seg] ─ wire ─► inbox [seg] ─► poll_read
//!   poll_read  ◄─ inbox ◄──────────────────── wire ── lane 1      ◄─ poll_write
//! ```
//!
//! * One write is one segment. Its arrival is never before that of the segment sent before it.
//! * A lane has one window: bytes sent and not yet read, at most [`WINDOW`]. Window updates and
//!   acknowledgements are not messages: they take effect at once, or, when the way back is cut, at
//!   the first probe that finds it open.
//! * A segment that the wire or a dead machine swallows *stalls* its lane: everything not yet arrived
//!   waits for the retransmission timer (200 ms, doubling to 120 s, reset by progress) and is sent
//!   again from there. After [`MAX_RETRANSMISSIONS`] the sender's end fails with `TimedOut`.
//! * Opening takes a SYN and its answer (two latencies). A lost one is sent again after 1, 2, 4 … s, and
//!   `TimedOut` comes after 127 s. Both ends open at the same instant, when the answer arrives.
//! * Loopback is the same machine without the wire: no latency, no loss, no cut.
//!
//! An end is `Open`; then `Closed`, when its process closed it and the kernel still brings the rest and
//! the FIN across; or `Gone`, when its kernel knows nothing of it any more and answers what arrives
//! with RST — if it has power. A connection is freed when no end needs it.
//!
//! Not modelled: congestion control, keep-alive, TIME_WAIT.

mod close;
mod handshake;
mod transfer;

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::task::Waker;

use super::observer::HostId;
use super::slab::Key;

/// What may be on its way and unread in one direction.
pub(super) const WINDOW: usize = 64 * 1024;
/// Connections that a listener holds until they are accepted.
const BACKLOG: usize = 128;
/// First retransmission timeout.
const FIRST_RETRANSMIT_NS: u64 = 200_000_000;
/// Longest retransmission timeout.
const LONGEST_RETRANSMIT_NS: u64 = 120_000_000_000;
/// Retransmissions without progress before the connection is given up (Linux' `tcp_retries2`).
const MAX_RETRANSMISSIONS: u8 = 15;

/// A connection, from the first SYN to the last reference.
pub(super) struct Conn {
    /// The connecting end, then the accepting one.
    pub ends: [End; 2],
    /// Lane `n` leads from end `n` to the other.
    pub lanes: [Lane; 2],
}

/// One end, as its kernel sees it.
pub(super) struct End {
    pub host: HostId,
    pub addr: SocketAddr,
    pub state: State,
    /// Handles that the process holds: 0 before `accept`, 2 once split.
    pub handles: u8,
    /// Why it is gone, for the process that still holds it.
    pub error: Option<io::ErrorKind>,
    pub reader: Option<Waker>,
    pub writer: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Opening,
    Open,
    Closed,
    Gone,
}

/// One direction.
pub(super) struct Lane {
    /// Sent and not arrived, oldest first.
    flight: VecDeque<Segment>,
    /// Arrived and not read.
    inbox: VecDeque<Vec<u8>>,
    /// How much of the first of `inbox` has been read.
    read_of_first: usize,
    unread: usize,
    /// Bytes that the sender believes to be in flight or unread.
    charged: usize,
    /// Bytes read whose window update has not passed.
    withheld: usize,
    /// A probe for such an update is scheduled.
    probing: bool,
    /// The writer met a full window and waits until half of it is free.
    full: bool,
    last_arrival_ns: u64,
    /// Arrival events of an earlier round are void: their segments are sent again.
    round: u32,
    stalled: bool,
    retransmissions: u8,
    fin_sent: bool,
    fin_arrived: bool,
}

enum Segment {
    Data(Vec<u8>),
    Fin,
}

/// A listening socket.
pub(super) struct ListenSocket {
    pub host: HostId,
    local: SocketAddr,
    backlog: VecDeque<Key>,
    waiting: Option<Waker>,
}

impl Segment {
    fn payload(&self) -> &[u8] {
        match self {
            Self::Data(bytes) => bytes,
            Self::Fin => &[],
        }
    }
}

impl Lane {
    fn new() -> Self {
        Self {
            flight: VecDeque::new(),
            inbox: VecDeque::new(),
            read_of_first: 0,
            unread: 0,
            charged: 0,
            withheld: 0,
            probing: false,
            full: false,
            last_arrival_ns: 0,
            round: 0,
            stalled: false,
            retransmissions: 0,
            fin_sent: false,
            fin_arrived: false,
        }
    }

    /// Takes what fits out of the inbox.
    fn take(&mut self, into: &mut [u8]) -> usize {
        let mut taken = 0;
        while taken < into.len() {
            let Some(first) = self.inbox.front() else {
                break;
            };
            let rest = &first[self.read_of_first..];
            let more = rest.len().min(into.len() - taken);
            into[taken..taken + more].copy_from_slice(&rest[..more]);
            taken += more;
            if more == rest.len() {
                self.inbox.pop_front();
                self.read_of_first = 0;
            } else {
                self.read_of_first += more;
            }
        }
        self.unread -= taken;
        taken
    }
}

impl End {
    fn new(host: HostId, addr: SocketAddr, handles: u8) -> Self {
        Self { host, addr, state: State::Opening, handles, error: None, reader: None, writer: None }
    }

    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    fn wake_writer(&mut self) {
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }
}

impl Conn {
    /// Sender and receiver of a lane.
    fn route(&self, lane: usize) -> (HostId, HostId) {
        (self.ends[lane].host, self.ends[1 - lane].host)
    }

    /// An end's kernel forgets the connection. Its process learns why, if it still holds it.
    fn lose(&mut self, end: usize, error: io::ErrorKind) {
        let lost = &mut self.ends[end];
        lost.state = State::Gone;
        lost.error = Some(error);
        lost.wake_reader();
        lost.wake_writer();
    }

    /// No process holds either end and no kernel has anything left to deliver.
    fn is_over(&self) -> bool {
        [0, 1].into_iter().all(|end| {
            self.ends[end].handles == 0
                && match self.ends[end].state {
                    State::Gone => true,
                    State::Closed => self.lanes[end].flight.is_empty(),
                    State::Opening | State::Open => false,
                }
        })
    }
}
