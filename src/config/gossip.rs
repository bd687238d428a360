//! What gossip is told: where each pool listens and is reached, its timers, its key (spec cluster 3.1, 3.2;
//! spec api 6.2).
//!
//! The presets are memberlist's for LAN and WAN; Consul's agent changes one of them (three gossip nodes in the WAN
//! as well), and `-dev` four, so that a cluster on one machine is quick.
//!
//! Deliberately not here: the fields that nobody can set (`gossip::swim` has them), and 0.5.2's presets.

use std::net::{IpAddr, SocketAddr};

use crate::base::{Duration, go_base64};
use crate::config::checked::{address, refuse};
use crate::config::error::ConfigError;
use crate::config::settings::Settings;
use crate::config::{AgentConfig, Ports};

/// Members that have failed are given up after this long, and never sooner than [`LEAST_RECONNECT`].
const RECONNECT: Duration = Duration::from_secs(72 * 3600);
const LEAST_RECONNECT: Duration = Duration::from_secs(8 * 3600);

/// All of gossip's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gossip {
    /// Every agent of the datacenter.
    pub lan: Pool,
    /// The servers of all datacenters; none on clients, and where `ports.serf_wan` is -1.
    pub wan: Option<Pool>,
    /// `encrypt`: 16, 24 or 32 bytes. A keyring file goes before it.
    pub key: Option<Vec<u8>>,
    /// Packets that are not encrypted are dropped.
    pub verify_incoming: bool,
    /// Packets are sent encrypted.
    pub verify_outgoing: bool,
    /// Keys are kept in the data folder.
    pub keyring_file: bool,
    /// Distances to other nodes are estimated.
    pub coordinates: bool,
}

/// One pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Listens here, for datagrams and streams.
    pub bind: SocketAddr,
    /// Is reached here.
    pub advertise: SocketAddr,
    /// A failed member is tried again for this long, then forgotten.
    pub reconnect_timeout: Duration,
    /// Timers and sizes.
    pub timing: GossipTiming,
}

/// The members of `gossip_lan` and `gossip_wan` (spec cluster 1.8 says what they are).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the configuration keys")]
pub struct GossipTiming {
    pub gossip_interval: Duration,
    pub gossip_nodes: u32,
    pub probe_interval: Duration,
    pub probe_timeout: Duration,
    pub retransmit_mult: u32,
    pub suspicion_mult: u32,
}

impl GossipTiming {
    /// Of the LAN pool.
    pub const LAN: Self = Self {
        gossip_interval: Duration::from_millis(200),
        gossip_nodes: 3,
        probe_interval: Duration::from_secs(1),
        probe_timeout: Duration::from_millis(500),
        retransmit_mult: 4,
        suspicion_mult: 4,
    };
    /// Of the WAN pool, with Consul's three nodes.
    pub const WAN: Self = Self {
        gossip_interval: Duration::from_millis(500),
        gossip_nodes: 3,
        probe_interval: Duration::from_secs(5),
        probe_timeout: Duration::from_secs(3),
        retransmit_mult: 4,
        suspicion_mult: 6,
    };

    /// With `-dev`.
    fn in_dev(self) -> Self {
        let quick = Duration::from_millis(100);
        Self {
            gossip_interval: quick,
            probe_interval: quick,
            probe_timeout: quick,
            suspicion_mult: 3,
            ..self
        }
    }
}

/// What one source says of a pool's timing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SaidTiming {
    pub gossip_interval: Option<Duration>,
    pub gossip_nodes: Option<u64>,
    pub probe_interval: Option<Duration>,
    pub probe_timeout: Option<Duration>,
    pub retransmit_mult: Option<u64>,
    pub suspicion_mult: Option<u64>,
}

impl SaidTiming {
    /// Lays a later source over this one.
    pub fn merge(&mut self, later: Self) {
        *self = Self {
            gossip_interval: later.gossip_interval.or(self.gossip_interval),
            gossip_nodes: later.gossip_nodes.or(self.gossip_nodes),
            probe_interval: later.probe_interval.or(self.probe_interval),
            probe_timeout: later.probe_timeout.or(self.probe_timeout),
            retransmit_mult: later.retransmit_mult.or(self.retransmit_mult),
            suspicion_mult: later.suspicion_mult.or(self.suspicion_mult),
        };
    }

    fn over(&self, pool: &str, preset: GossipTiming) -> Result<GossipTiming, ConfigError> {
        let span = |key: &str, said: Option<Duration>, preset| match said.unwrap_or(preset) {
            span if span.is_zero() => refuse(format!("{pool}.{key} cannot be zero")),
            span => Ok(span),
        };
        let count = |key: &str, said: Option<u64>, preset| match said.map(u32::try_from) {
            None => Ok(preset),
            Some(Ok(count @ 1..=1000)) => Ok(count),
            _ => refuse(format!("{pool}.{key} must be between 1 and 1000")),
        };
        Ok(GossipTiming {
            gossip_interval: span("gossip_interval", self.gossip_interval, preset.gossip_interval)?,
            gossip_nodes: count("gossip_nodes", self.gossip_nodes, preset.gossip_nodes)?,
            probe_interval: span("probe_interval", self.probe_interval, preset.probe_interval)?,
            probe_timeout: span("probe_timeout", self.probe_timeout, preset.probe_timeout)?,
            retransmit_mult: count(
                "retransmit_mult",
                self.retransmit_mult,
                preset.retransmit_mult,
            )?,
            suspicion_mult: count("suspicion_mult", self.suspicion_mult, preset.suspicion_mult)?,
        })
    }
}

/// `bind`, `advertise`: what the agent as a whole listens on and is reached at.
pub(super) fn check(
    said: &Settings,
    (dev, server): (bool, bool),
    (bind, advertise): (IpAddr, IpAddr),
    ports: &Ports,
) -> Result<Gossip, ConfigError> {
    let lan_bind = address("serf_lan", said.serf_lan.as_deref(), bind)?;
    let wan_bind = address("serf_wan", said.serf_wan.as_deref(), bind)?;
    let wan_advertise =
        address("advertise_addr_wan", said.advertise_addr_wan.as_deref(), advertise)?;
    if wan_advertise.is_unspecified() {
        return refuse("Advertise WAN address cannot be 0.0.0.0, :: or [::]");
    }
    let of_mode = |preset: GossipTiming| if dev { preset.in_dev() } else { preset };
    let lan = Pool {
        bind: SocketAddr::new(lan_bind, ports.serf_lan),
        advertise: SocketAddr::new(advertise, ports.serf_lan),
        reconnect_timeout: reconnect("ReconnectTimeoutLan", said.reconnect_timeout)?,
        timing: said.gossip_lan.over("gossip_lan", of_mode(GossipTiming::LAN))?,
    };
    let reconnect_timeout = reconnect("ReconnectTimeoutWan", said.reconnect_timeout_wan)?;
    let timing = said.gossip_wan.over("gossip_wan", of_mode(GossipTiming::WAN))?;
    let wan = ports.serf_wan.filter(|_| server).map(|port| Pool {
        bind: SocketAddr::new(wan_bind, port),
        advertise: SocketAddr::new(wan_advertise, port),
        reconnect_timeout,
        timing,
    });
    Ok(Gossip {
        lan,
        wan,
        key: key(said.encrypt.as_deref())?,
        verify_incoming: said.encrypt_verify_incoming.unwrap_or(true),
        verify_outgoing: said.encrypt_verify_outgoing.unwrap_or(true),
        keyring_file: !dev && !said.disable_keyring_file.unwrap_or(false),
        coordinates: !said.disable_coordinates.unwrap_or(false),
    })
}

fn reconnect(name: &str, said: Option<Duration>) -> Result<Duration, ConfigError> {
    match said.filter(|span| !span.is_zero()) {
        None => Ok(RECONNECT),
        Some(span) if span >= LEAST_RECONNECT => Ok(span),
        Some(_) => refuse(format!("{name} must be >= 8h0m0s")),
    }
}

fn key(text: Option<&str>) -> Result<Option<Vec<u8>>, ConfigError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    match go_base64::decode(text) {
        Ok(key) if matches!(key.len(), 16 | 24 | 32) => Ok(Some(key)),
        Ok(_) => refuse("encrypt has invalid key: key size must be 16, 24 or 32 bytes"),
        Err(error) => refuse(format!("encrypt has invalid key: {error}")),
    }
}

impl AgentConfig {
    /// Whether gossip begins encrypted, for the banner. A keyring file may say so as well.
    #[must_use]
    pub fn encrypts_gossip(&self) -> bool {
        self.gossip.key.is_some()
    }
}
