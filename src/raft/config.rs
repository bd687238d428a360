//! Timers and sizes (spec cluster 4.2).
//!
//! Consul's base is 1 s for heartbeat and election and 500 ms for the lease, each times the
//! `raft_multiplier`. Validation is hashicorp/raft's, with its texts.

use std::fmt;

use crate::base::{Duration, ServerAddress, ServerId};

/// How one server runs Raft.
#[derive(Clone, Debug)]
pub struct RaftConfig {
    /// This server's id.
    pub id: ServerId,
    /// This server's address: its name in votes and as leader.
    pub address: ServerAddress,
    /// A follower without contact for this long (and up to twice) stands for election.
    pub heartbeat_timeout: Duration,
    /// A candidate without a result for this long (and up to twice) tries again.
    pub election_timeout: Duration,
    /// A leader without a quorum's answers for this long steps down.
    pub leader_lease_timeout: Duration,
    /// A new commit index is told to idle followers after this long (and up to twice).
    pub commit_timeout: Duration,
    /// Entries in one AppendEntries, at most.
    pub max_append_entries: usize,
    /// AppendEntries to one follower that may wait for answers.
    pub max_inflight: usize,
    /// Bytes of entries in one AppendEntries, at most; one entry always goes.
    pub max_append_bytes: usize,
    /// After this long (and up to twice) a server looks whether a snapshot is due.
    pub snapshot_interval: Duration,
    /// A snapshot is due when the log has grown by this many entries since the last.
    pub snapshot_threshold: u64,
    /// Entries that stay in the log behind a snapshot, for followers that are not far behind.
    pub trailing_logs: u64,
    /// Ask for pre-votes before an election (off in Consul 1.9.8; thesis 9.6).
    pub pre_vote: bool,
}

/// What may change of a [`RaftConfig`] while the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotTuning {
    /// See [`RaftConfig::snapshot_interval`].
    pub interval: Duration,
    /// See [`RaftConfig::snapshot_threshold`].
    pub threshold: u64,
    /// See [`RaftConfig::trailing_logs`].
    pub trailing_logs: u64,
}

/// Consul's snapshot settings (spec cluster 4.2).
pub const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(30);
/// See [`RaftConfig::snapshot_threshold`].
pub const SNAPSHOT_THRESHOLD: u64 = 16_384;
/// See [`RaftConfig::trailing_logs`].
pub const TRAILING_LOGS: u64 = 10_240;
/// See [`RaftConfig::max_append_bytes`]: 8 ms of a link of 1 Gbit/s.
pub const MAX_APPEND_BYTES: usize = 1 << 20;

/// Why a [`RaftConfig`] is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// `raft_multiplier` is not in 1..=10.
    Multiplier(u32),
    /// This duration is below its minimum.
    TooLow(&'static str),
    /// This count is not in its range.
    OutOfRange(&'static str),
    /// The lease is longer than the heartbeat timeout: two leaders could both trust theirs.
    LeaseAboveHeartbeat(Duration, Duration),
    /// The election timeout is shorter than the heartbeat timeout.
    ElectionBelowHeartbeat(Duration, Duration),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Multiplier(given) => {
                write!(f, "performance.raft_multiplier cannot be {given}. Must be between 1 and 10")
            }
            Self::TooLow(name) => write!(f, "{name} is too low"),
            Self::OutOfRange(name) => write!(f, "{name} must be between 1 and 1024"),
            Self::LeaseAboveHeartbeat(lease, heartbeat) => write!(
                f,
                "LeaderLeaseTimeout ({lease:?}) cannot be larger than heartbeat timeout ({heartbeat:?})"
            ),
            Self::ElectionBelowHeartbeat(election, heartbeat) => write!(
                f,
                "ElectionTimeout ({election:?}) must be equal or greater than Heartbeat Timeout ({heartbeat:?})"
            ),
        }
    }
}

impl std::error::Error for ConfigError {}

impl RaftConfig {
    /// Consul's timers times `multiplier`, 1 to 10.
    ///
    /// # Errors
    /// [`ConfigError::Multiplier`] when it is out of range.
    pub fn with_multiplier(
        id: ServerId,
        address: ServerAddress,
        multiplier: u32,
    ) -> Result<Self, ConfigError> {
        if !(1..=10).contains(&multiplier) {
            return Err(ConfigError::Multiplier(multiplier));
        }
        Ok(Self {
            id,
            address,
            heartbeat_timeout: Duration::from_millis(1000) * multiplier,
            election_timeout: Duration::from_millis(1000) * multiplier,
            leader_lease_timeout: Duration::from_millis(500) * multiplier,
            commit_timeout: Duration::from_millis(50),
            max_append_entries: 64,
            max_inflight: 64,
            max_append_bytes: MAX_APPEND_BYTES,
            snapshot_interval: SNAPSHOT_INTERVAL,
            snapshot_threshold: SNAPSHOT_THRESHOLD,
            trailing_logs: TRAILING_LOGS,
            pre_vote: false,
        })
    }

    /// The short timers of `agent -dev`: a single server leads in about a tenth of a second.
    #[must_use]
    pub fn dev(id: ServerId, address: ServerAddress) -> Self {
        Self {
            id,
            address,
            heartbeat_timeout: Duration::from_millis(35),
            election_timeout: Duration::from_millis(52),
            leader_lease_timeout: Duration::from_millis(20),
            commit_timeout: Duration::from_millis(50),
            max_append_entries: 64,
            max_inflight: 64,
            max_append_bytes: MAX_APPEND_BYTES,
            snapshot_interval: SNAPSHOT_INTERVAL,
            snapshot_threshold: SNAPSHOT_THRESHOLD,
            trailing_logs: TRAILING_LOGS,
            pre_vote: false,
        }
    }

    /// Checks what hashicorp/raft checks.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let floor = Duration::from_millis(5);
        for (name, value, least) in [
            ("HeartbeatTimeout", self.heartbeat_timeout, floor),
            ("ElectionTimeout", self.election_timeout, floor),
            ("CommitTimeout", self.commit_timeout, Duration::from_millis(1)),
            ("LeaderLeaseTimeout", self.leader_lease_timeout, floor),
        ] {
            if value < least {
                return Err(ConfigError::TooLow(name));
            }
        }
        for (name, value) in
            [("MaxAppendEntries", self.max_append_entries), ("MaxInflight", self.max_inflight)]
        {
            if !(1..=1024).contains(&value) {
                return Err(ConfigError::OutOfRange(name));
            }
        }
        if self.leader_lease_timeout > self.heartbeat_timeout {
            return Err(ConfigError::LeaseAboveHeartbeat(
                self.leader_lease_timeout,
                self.heartbeat_timeout,
            ));
        }
        if self.election_timeout < self.heartbeat_timeout {
            return Err(ConfigError::ElectionBelowHeartbeat(
                self.election_timeout,
                self.heartbeat_timeout,
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(multiplier: u32) -> Result<RaftConfig, ConfigError> {
        RaftConfig::with_multiplier("id".into(), "n1".into(), multiplier)
    }

    #[test]
    fn multipliers_scale_all_but_the_commit_timeout() {
        let config = with(5).expect("5 is allowed");
        assert_eq!(config.heartbeat_timeout, Duration::from_secs(5));
        assert_eq!(config.election_timeout, Duration::from_secs(5));
        assert_eq!(config.leader_lease_timeout, Duration::from_millis(2500));
        assert_eq!(config.commit_timeout, Duration::from_millis(50));
        for multiplier in 1..=10 {
            assert_eq!(with(multiplier).expect("in range").validate(), Ok(()));
        }
        assert_eq!(RaftConfig::dev("id".into(), "n1".into()).validate(), Ok(()));
    }

    #[test]
    fn bad_values_are_named() {
        for multiplier in [0, 11] {
            assert_eq!(
                with(multiplier).expect_err("out of range").to_string(),
                format!(
                    "performance.raft_multiplier cannot be {multiplier}. Must be between 1 and 10"
                )
            );
        }
        let good = with(1).expect("1 is allowed");
        let low = RaftConfig { heartbeat_timeout: Duration::from_millis(4), ..good.clone() };
        assert_eq!(low.validate(), Err(ConfigError::TooLow("HeartbeatTimeout")));
        let many = RaftConfig { max_append_entries: 1025, ..good.clone() };
        assert_eq!(many.validate(), Err(ConfigError::OutOfRange("MaxAppendEntries")));
        let lease = RaftConfig { leader_lease_timeout: Duration::from_secs(2), ..good.clone() };
        assert!(matches!(lease.validate(), Err(ConfigError::LeaseAboveHeartbeat(..))));
        let hasty = RaftConfig { election_timeout: Duration::from_millis(900), ..good };
        assert!(matches!(hasty.validate(), Err(ConfigError::ElectionBelowHeartbeat(..))));
    }
}
