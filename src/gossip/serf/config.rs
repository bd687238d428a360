//! How Serf behaves (spec cluster 2.4), with what Consul sets otherwise (3.2).

use std::net::SocketAddr;

use crate::base::{Duration, NodeName, go_duration};
use crate::gossip::message::Tags;

/// Settings of one member.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our name: our identity.
    pub name: NodeName,
    /// Where others reach us; answers to queries come here.
    pub addr: SocketAddr,
    /// What we say of ourselves.
    pub tags: Tags,
    /// A leave intent, and a forced leave, wait so long to be sent often enough.
    pub broadcast_timeout: Duration,
    /// So long a leaver stays to answer probes.
    pub leave_propagate_delay: Duration,
    /// Slots of the rings of user events and of queries.
    pub buffer_slots: usize,
    /// Between two looks for members to forget.
    pub reap_interval: Duration,
    /// Intents about unknown members are kept so long.
    pub recent_intent_timeout: Duration,
    /// Between two attempts to reach a failed member.
    pub reconnect_interval: Duration,
    /// A failed member is forgotten after so long.
    pub reconnect_timeout: Duration,
    /// A member that left is forgotten after so long.
    pub tombstone_timeout: Duration,
    /// A member's own tag may replace both timeouts: a Go duration, 0 for "as configured".
    pub timeout_tag: Option<&'static str>,
    /// Each of the three queues holds so many broadcasts: the larger of this and twice the members.
    pub queue_depth_min: usize,
    /// A broadcast is sent so many times × ceil(log10(n + 1)); SWIM's.
    pub retransmit_mult: u32,
    /// Between two rounds of gossip, SWIM's: the unit of a query's default timeout.
    pub gossip_interval: Duration,
    /// A query takes answers for so many rounds × ceil(log10(n + 1)).
    pub query_timeout_mult: u32,
    /// Bytes of an encoded query.
    pub query_size_limit: usize,
    /// Bytes of an encoded answer.
    pub query_response_size_limit: usize,
    /// Bytes of name and payload of a user event, and of the encoded whole.
    pub user_event_size_limit: usize,
    /// Whether a snapshot is kept.
    pub snapshot: bool,
    /// A snapshot is rewritten when it is longer than this, bytes.
    pub snapshot_min_bytes: u64,
    /// Whether coordinates travel in acks.
    pub coordinates: bool,
}

impl Config {
    /// What Consul's LAN pool uses.
    #[must_use]
    pub fn consul_lan(name: NodeName, addr: SocketAddr, tags: Tags) -> Self {
        Self {
            name,
            addr,
            tags,
            broadcast_timeout: Duration::from_secs(5),
            leave_propagate_delay: Duration::from_secs(3),
            buffer_slots: 512,
            reap_interval: Duration::from_secs(15),
            recent_intent_timeout: Duration::from_secs(5 * 60),
            reconnect_interval: Duration::from_secs(30),
            reconnect_timeout: Duration::from_secs(72 * 3600),
            tombstone_timeout: Duration::from_secs(24 * 3600),
            timeout_tag: Some("rc_tm"),
            queue_depth_min: 4096,
            retransmit_mult: 4,
            gossip_interval: Duration::from_millis(200),
            query_timeout_mult: 16,
            query_size_limit: 1024,
            query_response_size_limit: 1024,
            user_event_size_limit: 512,
            snapshot: true,
            snapshot_min_bytes: 128 * 1024,
            coordinates: true,
        }
    }

    /// Consul's WAN pool: slower gossip, else the same.
    #[must_use]
    pub fn consul_wan(name: NodeName, addr: SocketAddr, tags: Tags) -> Self {
        let gossip_interval = Duration::from_millis(500);
        Self { gossip_interval, ..Self::consul_lan(name, addr, tags) }
    }

    /// How long a member with these tags is remembered.
    pub(super) fn timeout_of(&self, tags: &Tags, configured: Duration) -> Duration {
        let own = self.timeout_tag.and_then(|tag| tags.get(tag)).and_then(go_duration::parse_span);
        own.filter(|own| !own.is_zero()).unwrap_or(configured)
    }
}

/// ceil(log10(n + 1)): the number of n's decimal digits.
pub(super) fn log_scale(members: usize) -> u32 {
    members.checked_ilog10().map_or(0, |log| log + 1)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_scale_counts_digits() {
        let scales = [0, 1, 9, 10, 99, 100].map(super::log_scale);
        assert_eq!(scales, [0, 1, 1, 2, 2, 3]);
    }
}
