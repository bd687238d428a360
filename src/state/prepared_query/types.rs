//! Definitions of prepared queries, with the fields of Consul 1.9.8 (spec api 2.13).

use std::collections::BTreeMap;

use crate::state::CheckServiceNode;

/// The type of a template that is chosen by the beginning of the name that is asked for.
pub const NAME_PREFIX_MATCH: &str = "name_prefix_match";

/// A definition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreparedQuery {
    /// A UUID.
    pub id: String,
    /// Unique, whatever its case; empty for one that is asked for by its id.
    pub name: String,
    /// The session with which it ends; empty: it stays.
    pub session: String,
    /// For ACLs; kept and not interpreted.
    pub token: String,
    /// What stands for a whole family of names.
    pub template: QueryTemplate,
    /// What is asked.
    pub service: ServiceQuery,
    /// `DNS.TTL`: a Go duration, or empty.
    pub dns_ttl: String,
    /// Index of the entry that created it.
    pub create_index: u64,
    /// Index of the entry that last changed it.
    pub modify_index: u64,
}

/// How a definition is made for each name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryTemplate {
    /// `Type`: empty for a definition that is no template, or [`NAME_PREFIX_MATCH`].
    pub kind: String,
    /// Applied to the whole name; its groups are `${match(N)}`.
    pub regexp: String,
    /// Tags that come out empty are left out.
    pub remove_empty_tags: bool,
}

/// Which instances of a service are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceQuery {
    /// The service.
    pub service: String,
    /// Where to look when there is none here.
    pub failover: QueryFailover,
    /// Without those that warn.
    pub only_passing: bool,
    /// Checks that do not count.
    pub ignore_check_ids: Vec<String>,
    /// From where distances are taken: a node's name, `_agent`, `_ip`, or empty.
    pub near: String,
    /// Tags to have or, with `!` before them, not to have.
    pub tags: Vec<String>,
    /// What the node's meta must hold.
    pub node_meta: BTreeMap<String, String>,
    /// What the instance's meta must hold.
    pub service_meta: BTreeMap<String, String>,
    /// Instances in the mesh, of which this agent knows none.
    pub connect: bool,
}

/// Where to look else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryFailover {
    /// In so many datacenters, the nearest first.
    pub nearest_n: i64,
    /// Then in these.
    pub datacenters: Vec<String>,
}

/// A change of the definitions (Consul's message type 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreparedQueryCommand {
    /// A new one; the leader gives it its id before it goes into the log.
    Create(Box<PreparedQuery>),
    /// In the place of the one with this id.
    Update(Box<PreparedQuery>),
    /// Away with it.
    Delete {
        /// Its id.
        id: String,
    },
}

/// Who asks, for `near` and for templates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuerySource {
    /// Its datacenter; empty: the agent's.
    pub datacenter: String,
    /// Its segment of the network; empty in all but the enterprise release.
    pub segment: String,
    /// Its node, or one of the words `_agent` and `_ip`.
    pub node: String,
    /// Its address.
    pub ip: String,
}

/// A question to be executed or explained.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryExecution {
    /// Id or name.
    pub name: String,
    /// At most so many instances; 0: all.
    pub limit: u64,
    /// Instances in the mesh, whatever the definition says.
    pub connect: bool,
    /// Who asks.
    pub source: QuerySource,
    /// The agent that was asked.
    pub agent: QuerySource,
}

/// What came of an execution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryOutcome {
    /// The service that was asked for.
    pub service: String,
    /// Its instances; in the order of nodes and ids, until the agent arranges them.
    pub nodes: Vec<CheckServiceNode>,
    /// `DNS.TTL`.
    pub dns_ttl: String,
    /// Where they are.
    pub datacenter: String,
    /// How many other datacenters were asked.
    pub failovers: u64,
    /// `Near` of the definition, for whoever arranges them; never told to anybody.
    pub near: String,
}

impl PreparedQuery {
    /// Whether it stands for a family of names.
    #[must_use]
    pub fn is_template(&self) -> bool {
        !self.template.kind.is_empty()
    }
}
