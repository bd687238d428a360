//! What a transaction is made of, and what comes of it, with the fields of Consul 1.9.8.

use crate::state::{HealthCheck, KvEntry, Node, NodeService};

/// One operation. Verbs are texts: one that nobody knows fails its operation, and with it the
/// transaction, at the place where the others fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnOp {
    /// On a key.
    Kv(TxnKv),
    /// On a node.
    Node(TxnNode),
    /// On an instance of a service.
    Service(TxnService),
    /// On a check.
    Check(TxnCheck),
    /// On a session; only between servers.
    Session(TxnSession),
}

/// On a key: `set`, `cas`, `lock`, `unlock`, `get`, `get-tree`, `check-index`, `check-session`,
/// `check-not-exists`, `delete`, `delete-tree`, `delete-cas`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnKv {
    /// The verb.
    pub verb: String,
    /// Key, value, flags and session; `modify_index` is what is compared with.
    pub entry: KvEntry,
}

/// On a node: `get`, `set`, `cas`, `delete`, `delete-cas`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxnNode {
    /// The verb.
    pub verb: String,
    /// The node; `modify_index` is what is compared with.
    pub node: Node,
}

/// On an instance: the verbs of nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxnService {
    /// The verb.
    pub verb: String,
    /// Its node's name.
    pub node: String,
    /// The instance; `modify_index` is what is compared with.
    pub service: NodeService,
}

/// On a check: the verbs of nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxnCheck {
    /// The verb.
    pub verb: String,
    /// The check; `modify_index` is what is compared with.
    pub check: HealthCheck,
}

/// On a session: `delete`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxnSession {
    /// The verb.
    pub verb: String,
    /// Its id.
    pub id: String,
}

/// What one operation gives: a row as it is after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnResult {
    /// A key; its value only where it was read.
    Kv(KvEntry),
    /// A node.
    Node(Node),
    /// An instance.
    Service(NodeService),
    /// A check.
    Check(HealthCheck),
}

/// Why a transaction failed: what one of its operations says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnError {
    /// Which one, from 0.
    pub op_index: usize,
    /// Consul's text.
    pub what: String,
}

/// What came of a transaction: with an error, nothing was done and there are no results.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxnResponse {
    /// In the order of the operations; those that remove give none, `get-tree` one for each key.
    pub results: Vec<TxnResult>,
    /// One for each operation that failed.
    pub errors: Vec<TxnError>,
}

impl TxnOp {
    /// Whether it only reads: a transaction of such operations needs no log. Of verbs that nobody knows,
    /// those of keys count as reads and others as writes, as in Consul.
    #[must_use]
    pub fn only_reads(&self) -> bool {
        match self {
            TxnOp::Kv(op) => !matches!(
                op.verb.as_str(),
                "set" | "cas" | "lock" | "unlock" | "delete" | "delete-tree" | "delete-cas"
            ),
            TxnOp::Node(TxnNode { verb, .. })
            | TxnOp::Service(TxnService { verb, .. })
            | TxnOp::Check(TxnCheck { verb, .. }) => verb == "get",
            TxnOp::Session(_) => false,
        }
    }
}
