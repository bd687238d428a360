//! memberlist's presets (spec cluster 1.8) and what Consul makes of them (spec cluster 3.2).
//!
//! A preset is a pure function of who we are; the caller changes fields afterwards. Not here: ports,
//! keys and labels, of which only the cost in bytes is known to the core.

use std::net::SocketAddr;

use bytes::Bytes;

use crate::base::{Duration, NodeName};
use crate::gossip::io::Codec;
use crate::gossip::swim::types::Config;

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

impl Config {
    /// For one network: all agents of a datacenter.
    #[must_use]
    pub fn lan(name: NodeName, addr: SocketAddr, codec: Codec) -> Self {
        Self {
            name,
            addr,
            meta: Bytes::new(),
            versions: [1, 5, 2, 2, 5, 4],
            codec,
            overhead_bytes: 0,
            udp_buffer_bytes: 1400,
            indirect_checks: 3,
            retransmit_mult: 4,
            suspicion_mult: 4,
            suspicion_max_timeout_mult: 6,
            push_pull_interval: millis(30_000),
            probe_interval: millis(1000),
            probe_timeout: millis(500),
            tcp_pings: true,
            gossip_interval: millis(200),
            gossip_nodes: 3,
            gossip_to_the_dead_time: millis(30_000),
            awareness_max_multiplier: 8,
            dead_node_reclaim_time: Duration::ZERO,
            handoff_queue_depth: 1024,
            broadcast_timeout: millis(5000),
        }
    }

    /// Between datacenters: slower, and slower to suspect.
    #[must_use]
    pub fn wan(name: NodeName, addr: SocketAddr, codec: Codec) -> Self {
        Self {
            suspicion_mult: 6,
            push_pull_interval: millis(60_000),
            probe_interval: millis(5000),
            probe_timeout: millis(3000),
            gossip_interval: millis(500),
            gossip_nodes: 4,
            gossip_to_the_dead_time: millis(60_000),
            ..Self::lan(name, addr, codec)
        }
    }

    /// On one machine.
    #[must_use]
    pub fn local(name: NodeName, addr: SocketAddr, codec: Codec) -> Self {
        Self {
            indirect_checks: 1,
            retransmit_mult: 2,
            suspicion_mult: 3,
            push_pull_interval: millis(15_000),
            probe_timeout: millis(200),
            gossip_interval: millis(100),
            gossip_to_the_dead_time: millis(15_000),
            ..Self::lan(name, addr, codec)
        }
    }

    /// Consul's own change to both pools: a dead member may come back from another address.
    #[must_use]
    pub fn for_consul(self) -> Self {
        Self { dead_node_reclaim_time: millis(30_000), ..self }
    }

    /// And the timers of its development mode, for both pools.
    #[must_use]
    pub fn for_consul_dev(self) -> Self {
        Self {
            gossip_interval: millis(100),
            probe_interval: millis(100),
            probe_timeout: millis(100),
            suspicion_mult: 3,
            ..self.for_consul()
        }
    }
}
