//! Operations on sessions, locks, watches, transactions, the catalog and names: what was asked and answered.
//!
//! In `history.jsonl` they stand in the fields `request` and `answer`, as serde writes these types:
//!
//! ```text
//! {"client":4,"user":"u5","server":"n2","op":"acquire","key":"lock/0","call":120,"return":180,
//!  "request":{"acquire":{"session":"7c…","value":"u5-3"}},"outcome":"ok","answer":{"granted":true}}
//! ```
//!
//! An operation's `key` is what it is about: the key of a lock, the id of a session (empty where it is
//! created), the prefix or service that is watched, the service of the catalog, the name that is looked up. Locks, watched services
//! and transactions have key spaces of their own (`lock/`, `txn/`), so what is done to them is no part
//! of the linearizability of plain keys: each has an oracle of its own.

use serde::{Deserialize, Serialize};

use super::lookup::{Question, Resolved};
use super::operation::Mode;

/// What happens to the keys that a session holds when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "Consul's own names")]
pub enum Behavior {
    Release,
    Delete,
}

/// What a watcher watches; the operation's key says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are those of the scenario language")]
pub enum Watched {
    Kv,
    Service,
    Nodes,
    Checks,
    Event,
}

/// What one operation of a transaction does (spec cluster 10.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "Consul's own names")]
pub enum Verb {
    Set,
    Cas,
    Get,
    GetTree,
}

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TxnOp {
    /// What it does.
    pub verb: Verb,
    /// To which key, or under which prefix.
    pub key: String,
    /// What it writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// With which version it compares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
}

/// By which way something reaches the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Through {
    Agent,
    Catalog,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of Consul's API; times are in ns")]
pub enum Request {
    /// Take the lock.
    Acquire {
        session: String,
        value: String,
    },
    /// Give it back.
    Release {
        session: String,
        value: String,
    },
    /// Read who holds it.
    Holder {
        mode: Mode,
    },
    /// Create a session of the asked agent's node. `ttl_ns` 0: none.
    CreateSession {
        ttl_ns: u64,
        lock_delay_ns: u64,
        behavior: Behavior,
    },
    RenewSession,
    DestroySession,
    SessionInfo {
        mode: Mode,
    },
    /// A long poll: answered when the index is another than this one, or the wait is over.
    Watch {
        on: Watched,
        index: u64,
        wait_ns: u64,
    },
    /// Many operations at once, or none of them.
    Txn {
        mode: Mode,
        ops: Vec<TxnOp>,
    },
    /// Put an instance of the service that is the key into the catalog.
    Register {
        through: Through,
        node: String,
        id: String,
        port: u16,
    },
    /// Take it out.
    Deregister {
        through: Through,
        node: String,
        id: String,
    },
    /// Report the state of an instance's own check.
    Report {
        id: String,
        passing: bool,
    },
    /// The instances of a service, or those that pass.
    Instances {
        mode: Mode,
        passing: bool,
    },
    /// Ask by DNS.
    Lookup(Question),
}

/// A key, or an instance of a service, as it was listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// The key; of an instance `NODE/ID`.
    pub key: String,
    /// Its value; none where the answer leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Its `ModifyIndex`.
    pub index: u64,
}

/// A lock as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockSeen {
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// How often it was taken.
    pub lock_index: u64,
    /// `ModifyIndex`.
    pub index: u64,
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reply {
    /// Done, with nothing more to say.
    Done,
    /// Whether the lock was taken, or given back.
    Granted(bool),
    /// There is no such session (an error of the log's application, so nothing was done).
    NoSession,
    /// Whether the session exists.
    Exists(bool),
    /// The new session's id.
    Created(String),
    /// The lock; none when the key is absent.
    Lock(Option<LockSeen>),
    /// What is there now.
    Rows(Vec<Listed>),
    /// The transaction happened; the results in order.
    Committed(Vec<Listed>),
    /// It did not, and why: operation and text.
    RolledBack(Vec<(u64, String)>),
    /// What DNS says.
    Resolved(Resolved),
}

impl Request {
    /// The `op` of a row, and the word in reports.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Request::Acquire { .. } => "acquire",
            Request::Release { .. } => "release",
            Request::Holder { .. } => "holder",
            Request::CreateSession { .. } => "create-session",
            Request::RenewSession => "renew-session",
            Request::DestroySession => "destroy-session",
            Request::SessionInfo { .. } => "session-info",
            Request::Watch { .. } => "watch",
            Request::Txn { .. } => "txn",
            Request::Register { .. } => "register",
            Request::Deregister { .. } => "deregister",
            Request::Report { .. } => "report",
            Request::Instances { .. } => "instances",
            Request::Lookup(_) => "lookup",
        }
    }

    /// What is asked, for people.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Request::Acquire { session, .. } => format!("for {}", short(session)),
            Request::Release { session, .. } => format!("of {}", short(session)),
            Request::CreateSession { ttl_ns, .. } => format!("ttl {} s", ttl_ns / 1_000_000_000),
            Request::Watch { index, .. } => format!("after index {index}"),
            Request::Txn { ops, .. } => {
                let ops: Vec<String> = ops.iter().map(TxnOp::shown).collect();
                ops.join(", ")
            }
            Request::Register { node, id, .. } | Request::Deregister { node, id, .. } => {
                format!("{id} on {node}")
            }
            Request::Report { id, passing } => {
                format!("{id} {}", if *passing { "passing" } else { "critical" })
            }
            Request::Instances { passing: true, .. } => "that pass".to_owned(),
            Request::Lookup(question) => question.shown(),
            Request::Holder { .. }
            | Request::RenewSession
            | Request::DestroySession
            | Request::SessionInfo { .. }
            | Request::Instances { .. } => String::new(),
        }
    }

    /// Whether such an answer can be one to this.
    #[must_use]
    pub fn takes(&self, reply: &Reply) -> bool {
        match self {
            Request::Acquire { .. } => matches!(reply, Reply::Granted(_) | Reply::NoSession),
            Request::Release { .. } => matches!(reply, Reply::Granted(_) | Reply::NoSession),
            Request::Holder { .. } => matches!(reply, Reply::Lock(_)),
            Request::CreateSession { .. } => matches!(reply, Reply::Created(_)),
            Request::RenewSession | Request::SessionInfo { .. } => {
                matches!(reply, Reply::Exists(_))
            }
            Request::Watch { .. } | Request::Instances { .. } => matches!(reply, Reply::Rows(_)),
            Request::Txn { .. } => matches!(reply, Reply::Committed(_) | Reply::RolledBack(_)),
            Request::Lookup(_) => matches!(reply, Reply::Resolved(_)),
            Request::DestroySession
            | Request::Register { .. }
            | Request::Deregister { .. }
            | Request::Report { .. } => *reply == Reply::Done,
        }
    }
}

impl TxnOp {
    fn shown(&self) -> String {
        match (self.verb, self.index) {
            (Verb::Set, _) => format!("set {}", self.key),
            (Verb::Cas, index) => format!("cas {} at {}", self.key, index.unwrap_or(0)),
            (Verb::Get, _) => format!("get {}", self.key),
            (Verb::GetTree, _) => format!("get-tree {}", self.key),
        }
    }
}

impl Reply {
    /// The answer, for people.
    #[must_use]
    pub fn shown(&self) -> String {
        let rows = |rows: &[Listed]| {
            let one = |row: &Listed| match &row.value {
                Some(value) => format!("{} = {value:?} (version {})", row.key, row.index),
                None => format!("{} (version {})", row.key, row.index),
            };
            format!("[{}]", rows.iter().map(one).collect::<Vec<_>>().join(", "))
        };
        match self {
            Reply::Done => "ok".to_owned(),
            Reply::Granted(granted) => granted.to_string(),
            Reply::NoSession | Reply::Exists(false) => "no such session".to_owned(),
            Reply::Exists(true) => "exists".to_owned(),
            Reply::Created(id) => format!("session {}", short(id)),
            Reply::Lock(None) => "absent".to_owned(),
            Reply::Lock(Some(lock)) => match &lock.session {
                Some(session) => format!("held by {} ({})", short(session), lock.lock_index),
                None => format!("free ({})", lock.lock_index),
            },
            Reply::Rows(listed) => rows(listed),
            Reply::Committed(listed) => format!("committed {}", rows(listed)),
            Reply::RolledBack(errors) => match errors.first() {
                Some((op, what)) => format!("rolled back: operation {op}: {what}"),
                None => "rolled back".to_owned(),
            },
            Reply::Resolved(resolved) => resolved.shown(),
        }
    }
}

/// The beginning of a session's id, which tells them apart well enough for people.
#[must_use]
pub fn short(session: &str) -> &str {
    session.get(..8).unwrap_or(session)
}
