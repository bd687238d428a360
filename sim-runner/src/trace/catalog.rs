//! The catalog as one server's state machine has it: the fold of [`What::Catalog`].
//!
//! ```text
//!  n1 │ node a, service web on a, check c of web: passing        instances(web) = 1, healthy(web) = 1
//!     │ check c of web: critical                                 instances(web) = 1, healthy(web) = 0
//!     │ node a gone, and what was on it                          instances(web) = 0
//! ```
//!
//! A process that starts has what its snapshot holds, which is told as rows too. Names of nodes are in
//! lower case, as Consul compares them; the name that users see is beside it.
//!
//! Catalogs are compared at every turn while a cluster settles, so each carries a digest of what it
//! says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

use super::event::{What, hex};

/// The id of the check that the leader keeps from gossip.
pub const SERF_HEALTH: &str = "serfHealth";

/// A row of a catalog: as it is now, or that it is gone. `node` is the node's name in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the field names are those of Consul's tables")]
pub enum CatalogRow {
    Node {
        node: String,
        /// As users see it.
        name: String,
        /// Its UUID, or nothing.
        id: String,
        /// For those of its datacenter.
        address: String,
    },
    NoNode {
        node: String,
    },
    Service {
        node: String,
        id: String,
        /// The service's name.
        service: String,
        /// Where it is; empty: where its node is.
        address: String,
        port: u16,
        tags: Vec<String>,
        /// Hash of what its agent says of it.
        #[serde(with = "hex")]
        content: u64,
    },
    NoService {
        node: String,
        id: String,
    },
    Check {
        node: String,
        id: String,
        status: String,
        /// The instance that it is about; empty: the node.
        service_id: String,
        /// That instance's service.
        service: String,
        /// Hash of what its agent says of it, but for its output.
        #[serde(with = "hex")]
        content: u64,
    },
    NoCheck {
        node: String,
        id: String,
    },
}

/// A node of the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRow {
    /// As users see it.
    pub name: String,
    /// Its UUID; empty for one that was registered without.
    pub id: String,
    /// Where it is.
    pub address: String,
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRow {
    /// The name of its service.
    pub service: String,
    /// Where it is; empty: where its node is.
    pub address: String,
    /// On which port; 0: none.
    pub port: u16,
    /// In the catalog these may differ from what its agent says.
    pub tags: Vec<String>,
    /// Hash of what its agent says of it.
    pub content: u64,
}

impl ServiceRow {
    /// Whether an agent and the catalog say the same of it.
    #[must_use]
    pub fn agrees(&self, other: &Self) -> bool {
        self.service == other.service && self.content == other.content
    }
}

/// A check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRow {
    /// `passing`, `warning`, `critical`.
    pub status: String,
    /// The instance that it is about; empty: the node.
    pub service_id: String,
    /// That instance's service.
    pub service: String,
    /// Hash of what its agent says of it, but for its output.
    pub content: u64,
}

/// A node's name, and an id on it.
pub type OnNode = (String, String);

/// One server's catalog, or one agent's own services and checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    nodes: BTreeMap<String, NodeRow>,
    services: BTreeMap<OnNode, ServiceRow>,
    checks: BTreeMap<OnNode, CheckRow>,
    digest: u128,
}

impl Catalog {
    /// Takes in an event of its server; whether it changed anything.
    pub(super) fn take(&mut self, what: &What) -> bool {
        match what {
            What::Started => *self = Self::default(),
            What::Catalog { rows, .. } => rows.iter().for_each(|row| self.row(row)),
            _ => return false,
        }
        true
    }

    /// The same, of an agent's own services and checks.
    pub(super) fn take_own(&mut self, what: &What) -> bool {
        match what {
            What::Started => *self = Self::default(),
            What::Local { rows } => rows.iter().for_each(|row| self.row(row)),
            _ => return false,
        }
        true
    }

    /// Takes in a row.
    pub fn row(&mut self, row: &CatalogRow) {
        match row {
            CatalogRow::Node { node, name, id, address } => {
                let (name, id, address) = (name.clone(), id.clone(), address.clone());
                let row = NodeRow { name, id, address };
                let before = self.nodes.insert(node.clone(), row.clone());
                self.weigh(before.map(|it| weight_of_node(node, &it)), weight_of_node(node, &row));
            }
            CatalogRow::NoNode { node } => {
                let before = self.nodes.remove(node);
                self.weigh(before.map(|it| weight_of_node(node, &it)), 0);
            }
            CatalogRow::Service { node, id, service, address, port, tags, content } => {
                let row = ServiceRow {
                    service: service.clone(),
                    address: address.clone(),
                    port: *port,
                    tags: tags.clone(),
                    content: *content,
                };
                let place = (node.clone(), id.clone());
                let after = weight_of_service(&place, &row);
                let before = self.services.insert(place.clone(), row);
                self.weigh(before.map(|it| weight_of_service(&place, &it)), after);
            }
            CatalogRow::NoService { node, id } => {
                let place = (node.clone(), id.clone());
                let before = self.services.remove(&place);
                self.weigh(before.map(|it| weight_of_service(&place, &it)), 0);
            }
            CatalogRow::Check { node, id, status, service_id, service, content } => {
                let row = CheckRow {
                    status: status.clone(),
                    service_id: service_id.clone(),
                    service: service.clone(),
                    content: *content,
                };
                let place = (node.clone(), id.clone());
                let after = weight_of_check(&place, &row);
                let before = self.checks.insert(place.clone(), row);
                self.weigh(before.map(|it| weight_of_check(&place, &it)), after);
            }
            CatalogRow::NoCheck { node, id } => {
                let place = (node.clone(), id.clone());
                let before = self.checks.remove(&place);
                self.weigh(before.map(|it| weight_of_check(&place, &it)), 0);
            }
        }
    }

    fn weigh(&mut self, before: Option<u128>, after: u128) {
        self.digest = self.digest.wrapping_sub(before.unwrap_or(0)).wrapping_add(after);
    }

    /// Equal for equal catalogs; two different ones have the same by chance alone.
    #[must_use]
    pub fn digest(&self) -> u128 {
        self.digest
    }

    /// The nodes, by their names in lower case.
    #[must_use]
    pub fn nodes(&self) -> &BTreeMap<String, NodeRow> {
        &self.nodes
    }

    /// The instances.
    #[must_use]
    pub fn services(&self) -> &BTreeMap<OnNode, ServiceRow> {
        &self.services
    }

    /// The checks.
    #[must_use]
    pub fn checks(&self) -> &BTreeMap<OnNode, CheckRow> {
        &self.checks
    }

    /// The instances of a service, whatever the case of its name.
    pub fn instances<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a OnNode> {
        let of = move |row: &ServiceRow| row.service.eq_ignore_ascii_case(service);
        self.services.iter().filter(move |(_, row)| of(row)).map(|(place, _)| place)
    }

    /// The states of the checks that decide on an instance's health: its own and its node's.
    pub fn states<'a>(&'a self, (node, id): &'a OnNode) -> impl Iterator<Item = &'a str> {
        let first = (node.clone(), String::new());
        let checks = self.checks.range(first..).take_while(move |((at, _), _)| at == node);
        let deciding = checks.map(|(_, check)| check);
        let deciding = deciding.filter(move |it| it.service_id.is_empty() || it.service_id == *id);
        deciding.map(|it| it.status.as_str())
    }

    /// The worst of these; passing without any.
    #[must_use]
    pub fn status<'a>(&'a self, place: &'a OnNode) -> &'a str {
        self.states(place).max_by_key(|status| rank(status)).unwrap_or("passing")
    }
}

/// The higher the worse.
fn rank(status: &str) -> u8 {
    match status {
        "passing" => 0,
        "warning" => 1,
        _ => 2,
    }
}

fn weight(kind: u64, parts: &[&str], content: u64) -> u128 {
    let seed = parts.iter().fold(kind, |seed, part| xxh3_64_with_seed(part.as_bytes(), seed));
    xxh3_128_with_seed(&content.to_le_bytes(), seed)
}

fn weight_of_node(node: &str, row: &NodeRow) -> u128 {
    weight(1, &[node, &row.name, &row.id, &row.address], 0)
}

fn weight_of_service((node, id): &OnNode, row: &ServiceRow) -> u128 {
    weight(2, &[node, id, &row.service], row.content)
}

fn weight_of_check((node, id): &OnNode, row: &CheckRow) -> u128 {
    weight(3, &[node, id, &row.status, &row.service_id, &row.service], row.content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> CatalogRow {
        let (node, name) = (name.to_lowercase(), name.to_owned());
        CatalogRow::Node { node, name, id: String::new(), address: String::new() }
    }

    fn service(node: &str, id: &str, name: &str) -> CatalogRow {
        CatalogRow::Service {
            node: node.to_owned(),
            id: id.to_owned(),
            service: name.to_owned(),
            address: String::new(),
            port: 0,
            tags: Vec::new(),
            content: 1,
        }
    }

    fn check(node: &str, id: &str, status: &str, service_id: &str) -> CatalogRow {
        CatalogRow::Check {
            node: node.to_owned(),
            id: id.to_owned(),
            status: status.to_owned(),
            service_id: service_id.to_owned(),
            service: String::new(),
            content: 1,
        }
    }

    #[test]
    fn an_instance_is_as_well_as_its_worst_check() {
        let mut catalog = Catalog::default();
        for row in [
            node("A"),
            service("a", "web1", "Web"),
            service("a", "db1", "db"),
            check("a", SERF_HEALTH, "passing", ""),
            check("a", "c", "warning", "web1"),
        ] {
            catalog.row(&row);
        }
        let web = ("a".to_owned(), "web1".to_owned());
        let db = ("a".to_owned(), "db1".to_owned());
        assert_eq!(catalog.instances("web").collect::<Vec<_>>(), [&web]);
        assert_eq!((catalog.status(&web), catalog.status(&db)), ("warning", "passing"));
        catalog.row(&check("a", SERF_HEALTH, "critical", ""));
        assert_eq!((catalog.status(&web), catalog.status(&db)), ("critical", "critical"));
    }

    #[test]
    fn catalogs_that_say_the_same_have_one_digest() {
        let mut one = Catalog::default();
        let mut other = Catalog::default();
        for row in [node("a"), service("a", "web1", "web"), check("a", "c", "passing", "web1")] {
            one.row(&row);
        }
        for row in [
            check("a", "c", "critical", "web1"),
            node("b"),
            service("a", "web1", "web"),
            node("a"),
            check("a", "c", "passing", "web1"),
            CatalogRow::NoNode { node: "b".to_owned() },
        ] {
            other.row(&row);
        }
        assert_eq!(one.digest(), other.digest());
        assert_eq!(one, other);
        other.row(&CatalogRow::NoCheck { node: "a".to_owned(), id: "c".to_owned() });
        other.row(&CatalogRow::NoService { node: "a".to_owned(), id: "web1".to_owned() });
        other.row(&CatalogRow::NoNode { node: "a".to_owned() });
        assert_eq!(other, Catalog::default());
        assert_ne!(one.digest(), other.digest());
    }
}
