//! What an agent says of itself in its tags (spec cluster 3.3).

use crate::gossip::Tags;

/// What kind of agent it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// It keeps the state.
    Server {
        /// Where it listens for other agents.
        port: u16,
        /// Of its WAN pool; none without one.
        wan_port: Option<u16>,
        /// How many servers it wants before it bootstraps; 0: it does not.
        expect: u64,
        /// `-bootstrap`; not `-dev`.
        bootstrap: bool,
    },
    /// It asks servers.
    Client,
}

/// Who an agent is to the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Node name.
    pub name: String,
    /// Node id, a UUID.
    pub id: String,
    /// Datacenter.
    pub datacenter: String,
    /// Server or client.
    pub role: Role,
    /// Consul 0.5.2's tags instead of 1.9.8's.
    pub legacy: bool,
}

/// The build of the `legacy` profile, in `members` and `info`: version and revision.
pub const LEGACY_BUILD: (&str, &str) = ("0.5.2", "9a9cc934");

impl Identity {
    /// Whether it keeps the state.
    #[must_use]
    pub fn is_server(&self) -> bool {
        matches!(self.role, Role::Server { .. })
    }

    /// How many servers it wants before it bootstraps; 0: it does not.
    #[must_use]
    pub fn expect(&self) -> u64 {
        match self.role {
            Role::Server { expect, .. } => expect,
            Role::Client => 0,
        }
    }

    /// Its tags in the LAN pool.
    #[must_use]
    pub fn lan_tags(&self) -> Tags {
        self.tags(true)
    }

    /// Its tags in the WAN pool, where nobody joins the WAN through it.
    #[must_use]
    pub fn wan_tags(&self) -> Tags {
        self.tags(false)
    }

    fn tags(&self, lan: bool) -> Tags {
        let ((version, revision), vsn_min, vsn_max) = match self.legacy {
            true => (LEGACY_BUILD, "1", "2"),
            false => ((crate::CONSUL_VERSION, ""), "2", "3"),
        };
        let mut tags = vec![
            ("build", format!("{version}:{revision}")),
            ("dc", self.datacenter.clone()),
            ("vsn", "2".to_owned()),
            ("vsn_max", vsn_max.to_owned()),
            ("vsn_min", vsn_min.to_owned()),
        ];
        if !self.legacy {
            tags.push(("acls", "0".to_owned()));
            tags.push(("id", self.id.clone()));
            tags.push(("segment", String::new()));
        }
        match &self.role {
            Role::Client => tags.push(("role", "node".to_owned())),
            Role::Server { port, wan_port, expect, bootstrap } => {
                tags.push(("port", port.to_string()));
                tags.push(("role", "consul".to_owned()));
                if *bootstrap {
                    tags.push(("bootstrap", "1".to_owned()));
                }
                if *expect != 0 {
                    tags.push(("expect", expect.to_string()));
                }
                if !self.legacy {
                    tags.push(("ft_fs", "1".to_owned()));
                    tags.push(("ft_si", "1".to_owned()));
                    tags.push(("raft_vsn", "3".to_owned()));
                    if let Some(wan_port) = wan_port.filter(|_| lan) {
                        tags.push(("wan_join_port", wan_port.to_string()));
                    }
                }
            }
        }
        tags.sort();
        Tags(tags.into_iter().map(|(tag, value)| (tag.to_owned(), value)).collect())
    }
}
