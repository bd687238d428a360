//! What the testbed can choose about links and disks. Mechanism only: who chooses, and when, is the
//! nemesis' business.

use proconsul::base::{Duration, Ratio};

/// How one direction of one link treats messages. A message is a UDP datagram or a TCP segment.
///
/// Cuts are not in here: several faults may cut the same link at once, so they are kept by fault
/// (see [`Fabric::cut`](super::Fabric::cut)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkPolicy {
    /// Least one-way latency.
    pub latency_low: Duration,
    /// Upper bound of the one-way latency, excluded; drawn per message.
    pub latency_high: Duration,
    /// Messages that vanish. TCP sends them again, late.
    pub loss: Ratio,
    /// Datagrams that arrive twice.
    pub duplicate: Ratio,
    /// Datagrams that are held back by up to `reorder_by`.
    pub reorder: Ratio,
    /// See `reorder`.
    pub reorder_by: Duration,
    /// Datagrams that arrive with one flipped bit. A damaged TCP segment fails its checksum and counts
    /// as lost.
    pub corrupt: Ratio,
    /// Bytes per second that pass; messages queue behind each other. None: no limit.
    pub bandwidth: Option<u64>,
}

impl LinkPolicy {
    /// A healthy link with this latency.
    #[must_use]
    pub fn healthy(latency_low: Duration, latency_high: Duration) -> Self {
        Self {
            latency_low,
            latency_high,
            loss: Ratio::ZERO,
            duplicate: Ratio::ZERO,
            reorder: Ratio::ZERO,
            reorder_by: Duration::ZERO,
            corrupt: Ratio::ZERO,
            bandwidth: None,
        }
    }
}

impl Default for LinkPolicy {
    /// One rack: 0.2 to 1 ms, nothing lost.
    fn default() -> Self {
        Self::healthy(Duration::from_micros(200), Duration::from_millis(1))
    }
}

/// What befalls the messages of one direction of one link, on top of its policy, until it is mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkHarm {
    /// TCP segments suffer it.
    pub tcp: bool,
    /// UDP datagrams suffer it.
    pub udp: bool,
    /// Names the stream that it draws from, on each link.
    pub label: u64,
    /// What it is.
    pub what: Harm,
}

/// The kinds of [`LinkHarm`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// So much later: least, and upper bound; drawn per message.
    Slow(Duration, Duration),
    /// Some vanish. TCP sends them again.
    Lose(Ratio),
    /// Some datagrams arrive twice. (A kernel drops what TCP brings twice.)
    Duplicate(Ratio),
    /// Some are held back by up to 50 ms. What TCP sent after such a segment waits for it.
    Reorder(Ratio),
    /// Some datagrams arrive with a flipped bit; such a TCP segment counts as lost.
    Corrupt(Ratio),
    /// Bytes per second.
    Throttle(u64),
    /// Nothing arrives until it is mended; then everything does.
    Clog,
    /// Connections break, and new ones are refused.
    Reset,
    /// New connections are refused.
    Refuse,
    /// Everything vanishes.
    Blackhole,
}

/// How a disk behaves when it is well. Times are drawn per call; the upper bounds are excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskPolicy {
    /// Least time of an fsync.
    pub sync_low: Duration,
    /// Upper bound of the time of an fsync.
    pub sync_high: Duration,
    /// Least time of a read.
    pub read_low: Duration,
    /// Upper bound of the time of a read.
    pub read_high: Duration,
    /// Least time of a write or a change of length.
    pub write_low: Duration,
    /// Upper bound of the time of a write or a change of length.
    pub write_high: Duration,
    /// Bytes that all files together may have; none: no limit.
    pub capacity: Option<u64>,
}

impl Default for DiskPolicy {
    /// A good SSD: an fsync takes 0.2 to 2 ms, the page cache nothing.
    fn default() -> Self {
        Self {
            sync_low: Duration::from_micros(200),
            sync_high: Duration::from_millis(2),
            read_low: Duration::ZERO,
            read_high: Duration::ZERO,
            write_low: Duration::ZERO,
            write_high: Duration::ZERO,
            capacity: None,
        }
    }
}

/// What a power cut leaves of what was written but not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing.
    Synced,
    /// Everything: the write cache was lucky.
    All,
    /// A drawn part: a prefix or a subset of the operations, the last one torn at a sector.
    Some,
}

/// What ails a disk, until it is told otherwise. See `ailments.rs` for what each does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskFaults {
    /// Added to the time of each fsync: least, and upper bound.
    pub slower_sync: Option<(Duration, Duration)>,
    /// An fsync says that it is done, and does nothing.
    pub sync_lies: bool,
    /// Bytes that all files together may have, beside [`DiskPolicy::capacity`].
    pub full_at: Option<u64>,
    /// Operations that fail. Each counts for itself.
    pub io_errors: Vec<IoErrors>,
}

/// Operations that fail with EIO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoErrors {
    /// So that counting goes on when other faults come and go.
    pub id: u64,
    /// Reads of files.
    pub read: bool,
    /// Writes and changes of length.
    pub write: bool,
    /// Syncs of files and folders.
    pub sync: bool,
    /// Which of them.
    pub which: Strikes,
}

/// Which of many operations a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strikes {
    /// All.
    Every,
    /// Only this one, counted from one.
    Nth(u64),
    /// Each with this probability.
    Ratio(Ratio),
}

/// What the next power cut does to unsynced data, whatever it is asked to keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextCut {
    /// All of it is lost.
    pub lose_unsynced: bool,
    /// The last write of each file, if it is not synced, reaches the platter in part.
    pub torn_write: bool,
}

/// Damage to what lies on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A bit flips.
    BitRot,
    /// A sector that was once written went to another place of the file.
    Misdirect,
}
