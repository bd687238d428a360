//! What the zone is called and how it is answered for (spec api 6.2, `dns_config`).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::base::Duration;
use crate::raft::Profile;

/// Consul caps `udp_answer_limit` here.
const UDP_ANSWERS_MAX: usize = 8;

/// What DNS is told. The fields that are not explained are the keys of `dns_config`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the field names are those of the configuration keys")]
pub struct Settings {
    /// The agent that answers.
    pub node_name: String,
    /// Its datacenter, lower case.
    pub datacenter: String,
    /// Whose rules it follows: Consul 0.5.2 answers otherwise in many places.
    pub profile: Profile,
    /// Lower case, without a dot at its end; never empty.
    pub domain: String,
    /// Likewise; empty: there is none.
    pub alt_domain: String,
    pub recursors: Vec<SocketAddr>,
    /// `recursor_strategy` is `random`.
    pub random_recursors: bool,
    /// How long one of them may take.
    pub recursor_timeout: Duration,
    pub allow_stale: bool,
    pub max_stale: Duration,
    pub node_ttl: Duration,
    pub service_ttl: BTreeMap<String, Duration>,
    pub only_passing: bool,
    pub enable_truncate: bool,
    pub udp_answer_limit: usize,
    /// 0: no limit.
    pub a_record_limit: usize,
    pub disable_compression: bool,
    /// `enable_additional_node_meta_txt`.
    pub node_meta_txt: bool,
    pub use_cache: bool,
    /// Zero: a kept answer counts whatever its age.
    pub cache_max_age: Duration,
    pub soa: Soa,
}

/// Times in the zone's SOA, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of RFC 1035")]
pub struct Soa {
    pub refresh: u32,
    pub retry: u32,
    pub expire: u32,
    pub min_ttl: u32,
}

impl Settings {
    /// Those of an agent that was told nothing, for tests and as a start.
    #[must_use]
    pub fn of(node_name: &str) -> Self {
        Self {
            node_name: node_name.to_owned(),
            datacenter: "dc1".to_owned(),
            profile: Profile::Modern,
            domain: "consul".to_owned(),
            alt_domain: String::new(),
            recursors: Vec::new(),
            random_recursors: false,
            recursor_timeout: Duration::from_secs(2),
            allow_stale: true,
            max_stale: Duration::from_secs(87_600 * 3600),
            node_ttl: Duration::ZERO,
            service_ttl: BTreeMap::new(),
            only_passing: false,
            enable_truncate: false,
            udp_answer_limit: 3,
            a_record_limit: 0,
            disable_compression: false,
            node_meta_txt: true,
            use_cache: false,
            cache_max_age: Duration::ZERO,
            soa: Soa { refresh: 3600, retry: 600, expire: 86_400, min_ttl: 0 },
        }
    }

    /// Whether Consul 0.5.2 is followed.
    #[must_use]
    pub fn is_legacy(&self) -> bool {
        self.profile == Profile::Legacy
    }

    /// A node's meta goes with answers in which nobody asked for it.
    pub(super) fn adds_meta(&self) -> bool {
        self.node_meta_txt && !self.is_legacy()
    }

    /// So many answers in a datagram without EDNS.
    pub(super) fn udp_answers(&self) -> usize {
        self.udp_answer_limit.min(UDP_ANSWERS_MAX)
    }

    /// Of answers about a service: what its name says, else the longest `prefix*`.
    pub(super) fn ttl_of(&self, service: &str) -> Duration {
        if let Some(ttl) = self.service_ttl.get(service) {
            return *ttl;
        }
        let prefixes = self.service_ttl.iter().filter_map(|(name, ttl)| {
            let prefix = name.strip_suffix('*')?;
            service.starts_with(prefix).then_some((prefix.len(), *ttl))
        });
        prefixes.max_by_key(|(len, _)| *len).map_or(Duration::ZERO, |(_, ttl)| ttl)
    }
}

/// In whole seconds, as records have it.
pub(super) fn seconds(ttl: Duration) -> u32 {
    u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_counts() {
        let mut settings = Settings::of("n1");
        for (name, ttl) in [("web", 22), ("d*", 33), ("db*", 34), ("*", 44)] {
            settings.service_ttl.insert(name.to_owned(), Duration::from_secs(ttl));
        }
        let ttl = |name: &str| settings.ttl_of(name).as_secs();
        assert_eq!(
            [ttl("web"), ttl("web2"), ttl("d"), ttl("db"), ttl("dbs")],
            [22, 44, 33, 34, 34]
        );
        settings.service_ttl.remove("*");
        assert_eq!(settings.ttl_of("web2"), Duration::ZERO);
    }
}
