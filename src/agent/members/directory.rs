//! Which members are servers, and where (spec cluster 3.3).
//!
//! A member is a server when its tags say `role=consul` and its port, protocol and build can be read;
//! otherwise it is an agent like any other. The directory holds the servers of the own datacenter that
//! are there: not those that have left or failed. Names, not addresses, are the keys, since a server
//! may come back elsewhere.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::base::{NodeName, ServerAddress, ServerId};
use crate::gossip::{MemberEvent, MemberEventKind, MemberView, Status};

use super::super::membership::Membership;
use super::tags::Identity;

/// Serf's port of the WAN pool unless a server says otherwise.
const WAN_PORT: u16 = 8302;

/// A server as its tags describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// Node name.
    pub name: NodeName,
    /// Node id; the address where there is none (before 0.8).
    pub id: ServerId,
    /// Where it listens for other agents: `ip:8300`.
    pub address: ServerAddress,
    /// Its datacenter.
    pub datacenter: String,
    /// How many servers it wants before it bootstraps; 0: it does not.
    pub expect: u64,
    /// It was started with `-bootstrap`.
    pub bootstrap: bool,
    /// It never votes.
    pub read_replica: bool,
    /// `1.9.8`.
    pub version: String,
    /// Raft protocol; 0 when it does not say.
    pub raft_version: u8,
    /// What gossip makes of it.
    pub status: Status,
    gossip: SocketAddr,
    wan_port: Option<u16>,
}

impl ServerInfo {
    /// Reads a member's tags; none when it is no server.
    #[must_use]
    pub fn parse(member: &MemberView) -> Option<Self> {
        let tag = |name: &str| member.tags.get(name);
        if tag("role") != Some("consul") {
            return None;
        }
        let port: u16 = tag("port")?.parse().ok()?;
        let _protocol: u8 = tag("vsn")?.parse().ok()?;
        let version = tag("build")?.split(':').next()?.to_owned();
        let number = |name: &str| tag(name).map_or(Some(0), |text| text.parse::<u64>().ok());
        let expect = number("expect")?;
        let raft_version = u8::try_from(number("raft_vsn")?).ok()?;
        let wan_port = match tag("wan_join_port") {
            Some(text) => Some(text.parse::<u16>().ok()?),
            None => None,
        };
        let address = ServerAddress::from(SocketAddr::new(member.addr.ip(), port).to_string());
        Some(Self {
            name: member.name.clone(),
            id: ServerId::from(tag("id").unwrap_or(address.as_str())),
            address,
            datacenter: tag("dc")?.to_owned(),
            expect,
            bootstrap: tag("bootstrap") == Some("1"),
            read_replica: tag("read_replica").or(tag("nonvoter")) == Some("1"),
            version,
            raft_version,
            status: member.status,
            gossip: member.addr,
            wan_port,
        })
    }

    /// Where its WAN pool is.
    pub(super) fn wan_address(&self) -> Option<SocketAddr> {
        let port = self.wan_port.filter(|port| *port != 0).unwrap_or(WAN_PORT);
        Some(SocketAddr::new(self.gossip.ip(), port))
    }
}

/// The servers that are there.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    servers: BTreeMap<NodeName, ServerInfo>,
}

impl Directory {
    /// The servers, by name.
    pub fn servers(&self) -> impl Iterator<Item = &ServerInfo> {
        self.servers.values()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.servers.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// The server at this address.
    #[must_use]
    pub fn at(&self, address: &ServerAddress) -> Option<&ServerInfo> {
        self.servers.values().find(|server| server.address == *address)
    }

    /// Takes note of a change in the LAN pool; the fact that follows, if any.
    pub(super) fn note(&mut self, event: &MemberEvent, me: &Identity) -> Option<Membership> {
        let server = ServerInfo::parse(&event.member)?;
        match event.kind {
            MemberEventKind::Join | MemberEventKind::Update => {
                if server.datacenter != me.datacenter {
                    let (server, datacenter) = (server.name, server.datacenter);
                    return Some(Membership::WrongDatacenter { server, datacenter });
                }
                let is_new = !self.servers.contains_key(&server.name);
                self.servers.insert(server.name.clone(), server.clone());
                is_new.then_some(Membership::ServerAdded(Box::new(server)))
            }
            MemberEventKind::Leave | MemberEventKind::Failed | MemberEventKind::Reap => self
                .servers
                .remove(&server.name)
                .map(|_| Membership::ServerRemoved(Box::new(server))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gossip::Tags;

    fn member(tags: &[(&str, &str)]) -> MemberView {
        let tags = tags.iter().map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned()));
        MemberView {
            name: "n1".into(),
            addr: "10.0.0.1:8301".parse().expect("an address"),
            tags: Tags(tags.collect()),
            status: Status::Alive,
            versions: None,
        }
    }

    const GOOD: &[(&str, &str)] = &[
        ("role", "consul"),
        ("dc", "dc1"),
        ("id", "00000000-0000-0000-0000-000000000001"),
        ("vsn", "2"),
        ("build", "1.9.8:"),
        ("port", "8300"),
        ("expect", "3"),
        ("raft_vsn", "3"),
    ];

    #[test]
    fn tags_make_a_server() {
        let server = ServerInfo::parse(&member(GOOD)).expect("a server");
        assert_eq!(server.address.as_str(), "10.0.0.1:8300");
        assert_eq!((server.expect, server.raft_version, server.bootstrap), (3, 3, false));
        assert_eq!(server.version, "1.9.8");
        assert_eq!(server.wan_address(), "10.0.0.1:8302".parse().ok());
    }

    #[test]
    fn what_cannot_be_read_is_no_server() {
        for (tag, value) in [
            ("role", "node"),
            ("port", "http"),
            ("vsn", "x"),
            ("expect", "three"),
            ("raft_vsn", "?"),
            ("wan_join_port", "70000"),
        ] {
            let mut tags: Vec<_> = GOOD.iter().filter(|(name, _)| *name != tag).copied().collect();
            tags.push((tag, value));
            assert_eq!(ServerInfo::parse(&member(&tags)), None, "{tag}={value}");
        }
        for needed in ["role", "port", "vsn", "build"] {
            let tags: Vec<_> = GOOD.iter().filter(|(name, _)| *name != needed).copied().collect();
            assert_eq!(ServerInfo::parse(&member(&tags)), None, "without {needed}");
        }
    }
}
