//! What the fabric tells the testbed.

use std::fmt;

use proconsul::base::Instant;
use proconsul::base::runtime::Level;

/// Names a host; numbered in the order of [`Fabric::add_host`](super::Fabric::add_host).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostId(pub u16);

/// One message on the wire: a UDP datagram or a TCP segment. Segments without data (SYN, FIN, RST) are
/// only told of when they are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Sender.
    pub from: HostId,
    /// Receiver; the sender itself on loopback.
    pub to: HostId,
    /// TCP, or else UDP.
    pub tcp: bool,
    /// Payload length.
    pub bytes: u32,
    /// xxh3-64 of the payload.
    pub hash: u64,
}

/// Why a message did not arrive. TCP will send it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The link is cut.
    Cut,
    /// The link lost it.
    Lost,
    /// The receiving host has no power.
    HostDown,
    /// Nobody listens (UDP).
    ClosedPort,
    /// The receiver's buffer is full (UDP).
    BufferFull,
}

/// How a process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its host lost power.
    Killed,
    /// The testbed ended it (SIGKILL); the host stays up.
    Terminated,
    /// Its main future returned.
    Returned,
    /// One of its tasks panicked; the detail has the message and the place.
    Panicked,
}

/// Gets every fact the moment it happens, with the time of the whole simulation.
///
/// Called with the fabric's lock held: an observer records and returns, it does not call back.
pub trait Observer: Send + Sync {
    /// A message reached its socket.
    fn delivered(&self, _at: Instant, _message: &Message) {}
    /// A message did not.
    fn dropped(&self, _at: Instant, _message: &Message, _why: Why) {}
    /// A power cut took unsynced bytes of a file, or its name.
    fn lost_unsynced(&self, _at: Instant, _host: HostId, _path: &str, _bytes: u64) {}
    /// A fault of a disk struck: `kind` is its name in the language.
    fn disk_struck(&self, _at: Instant, _host: HostId, _kind: &str, _path: &str, _detail: &str) {}
    /// A process wrote a log line.
    fn log(
        &self,
        _at: Instant,
        _host: HostId,
        _level: Level,
        _module: &str,
        _text: fmt::Arguments<'_>,
    ) {
    }
    /// A command beside the host's own process panicked.
    fn command_panicked(&self, _at: Instant, _host: HostId, _detail: &str) {}
    /// A process ended. Its sockets are closed by now, its tasks no longer run.
    fn process_ended(&self, _at: Instant, _host: HostId, _how: Ended, _detail: &str) {}
}

/// Looks away.
pub struct Blind;

impl Observer for Blind {}
