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

/// How a disk behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskPolicy {
    /// Least time of an fsync.
    pub sync_low: Duration,
    /// Upper bound of the time of an fsync, excluded; drawn per call.
    pub sync_high: Duration,
}

impl Default for DiskPolicy {
    /// A good SSD: 0.2 to 2 ms.
    fn default() -> Self {
        Self { sync_low: Duration::from_micros(200), sync_high: Duration::from_millis(2) }
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
