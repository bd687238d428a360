//! What the zone is called and how it is answered for (spec api 6.2, `dns_config`).

use crate::base::Duration;
use crate::base::dns_settings::DnsSettings;
use crate::raft::Profile;

/// Consul caps `udp_answer_limit` here.
const UDP_ANSWERS_MAX: usize = 8;

/// Who answers, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The agent that answers.
    pub node_name: String,
    /// Its datacenter, lower case.
    pub datacenter: String,
    /// Whose rules it follows: Consul 0.5.2 answers otherwise in many places.
    pub profile: Profile,
    /// What it is told.
    pub config: DnsSettings,
}

impl Settings {
    /// Those of an agent that was told nothing, for tests and as a start.
    #[must_use]
    pub fn of(node_name: &str) -> Self {
        Self {
            node_name: node_name.to_owned(),
            datacenter: "dc1".to_owned(),
            profile: Profile::Modern,
            config: DnsSettings::default(),
        }
    }

    /// Whether Consul 0.5.2 is followed.
    #[must_use]
    pub fn is_legacy(&self) -> bool {
        self.profile == Profile::Legacy
    }

    /// A node's meta goes with answers in which nobody asked for it.
    pub(super) fn adds_meta(&self) -> bool {
        self.config.node_meta_txt && !self.is_legacy()
    }

    /// So many answers in a datagram without EDNS.
    pub(super) fn udp_answers(&self) -> usize {
        self.config.udp_answer_limit.min(UDP_ANSWERS_MAX)
    }

    /// Of answers about a service: what its name says, else the longest `prefix*`.
    pub(super) fn ttl_of(&self, service: &str) -> Duration {
        if let Some(ttl) = self.config.service_ttl.get(service) {
            return *ttl;
        }
        let prefixes = self.config.service_ttl.iter().filter_map(|(name, ttl)| {
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
            settings.config.service_ttl.insert(name.to_owned(), Duration::from_secs(ttl));
        }
        let ttl = |name: &str| settings.ttl_of(name).as_secs();
        assert_eq!(
            [ttl("web"), ttl("web2"), ttl("d"), ttl("db"), ttl("dbs")],
            [22, 44, 33, 34, 34]
        );
        settings.config.service_ttl.remove("*");
        assert_eq!(settings.ttl_of("web2"), Duration::ZERO);
    }
}
