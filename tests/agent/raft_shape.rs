//! What a cluster of the Raft tests is made of: how many servers, of which discipline, with which
//! sizes.

use proconsul::base::{Duration, Faults, ServerAddress};
use proconsul::raft::{
    Configuration, ConfigurationCodec, LegacyMembership, Membership, ModernMembership, PeersCodec,
    Server, Suffrage, config,
};
use proconsul::wire;

/// Which rules of membership.
#[derive(Clone, Copy, PartialEq)]
pub enum Discipline {
    Modern,
    /// Consul 0.5.2's. Its rules need what a connection gives: appends from one server to another, and
    /// their answers, keep their order, and one that is lost takes all others under way with it.
    Legacy {
        enable_single_node: bool,
    },
}

/// Sizes of a cluster.
#[derive(Clone)]
pub struct Shape {
    pub servers: usize,
    /// How many of them, the last, do not vote.
    pub nonvoters: usize,
    /// How many more there are, after those, that no set names yet.
    pub spares: usize,
    /// Nobody has anything on disk.
    pub bare: bool,
    pub discipline: Discipline,
    pub pre_vote: bool,
    pub max_append_entries: usize,
    pub max_inflight: usize,
    pub max_append_bytes: usize,
    pub snapshot_interval: Duration,
    pub snapshot_threshold: u64,
    pub trailing_logs: u64,
    pub seed: u64,
    pub faults: Faults,
}

impl Shape {
    pub fn of(servers: usize, seed: u64) -> Self {
        Self {
            servers,
            nonvoters: 0,
            spares: 0,
            bare: false,
            discipline: Discipline::Modern,
            pre_vote: false,
            max_append_entries: 64,
            max_inflight: 64,
            max_append_bytes: config::MAX_APPEND_BYTES,
            snapshot_interval: config::SNAPSHOT_INTERVAL,
            snapshot_threshold: config::SNAPSHOT_THRESHOLD,
            trailing_logs: config::TRAILING_LOGS,
            seed,
            faults: Faults::none(),
        }
    }

    pub fn address(number: usize) -> ServerAddress {
        format!("n{number}").into()
    }

    pub fn configuration(&self) -> Configuration {
        let voters = self.servers - self.nonvoters;
        let servers = (1..=self.servers).map(|number| Server {
            suffrage: if number <= voters { Suffrage::Voter } else { Suffrage::Nonvoter },
            id: Self::address(number).as_str().into(),
            address: Self::address(number),
        });
        Configuration { servers: servers.collect() }
    }

    pub fn membership(&self, me: &ServerAddress) -> Box<dyn Membership> {
        match self.discipline {
            Discipline::Modern => {
                Box::new(ModernMembership::new(me.as_str().into(), CONFIGURATION_CODEC))
            }
            Discipline::Legacy { enable_single_node } => {
                Box::new(LegacyMembership::new(me.clone(), enable_single_node, PEERS_CODEC))
            }
        }
    }
}

const CONFIGURATION_CODEC: ConfigurationCodec = ConfigurationCodec {
    encode: wire::raft::encode_configuration,
    decode: |bytes| wire::raft::decode_configuration(bytes).map_err(|error| error.to_string()),
};

/// A line per address: the real one is `wire`'s.
const PEERS_CODEC: PeersCodec = PeersCodec {
    encode: |peers| {
        let lines: Vec<&str> = peers.iter().map(ServerAddress::as_str).collect();
        lines.join("\n").into()
    },
    decode: |bytes| {
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        Ok(text.lines().map(ServerAddress::from).collect())
    },
};
