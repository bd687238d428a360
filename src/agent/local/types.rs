//! What may be asked of the local state, and what it asks of the shell.

use std::collections::BTreeMap;
use std::fmt;

use crate::base::Duration;
use crate::state::{CheckDefinition, HealthCheck, NodeService};

/// Who brought a service or a check: decides whether it is kept on disk, and which scripts may run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A file of the configuration: read again at each start, never kept.
    Config,
    /// A user of the API.
    #[default]
    Api,
}

/// A check as it is asked for (spec api 3.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckType {
    /// Its id; empty: one is made.
    pub check_id: String,
    /// What people call it; empty: one is made for a service's check.
    pub name: String,
    /// How it stands before it is run: `passing`, `warning`, `critical`; empty: critical.
    pub status: String,
    /// For people.
    pub notes: String,
    /// What it does.
    pub definition: CheckDefinition,
    /// So many passes in a row before it passes; 0 and 1: at once.
    pub success_before_passing: u64,
    /// So many failures in a row before it is critical; 0 and 1: at once.
    pub failures_before_critical: u64,
}

/// A service to register, with its checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceRegistration {
    /// The instance; without an id its name is its id.
    pub service: NodeService,
    /// Its checks, in the order in which they came: `Check` before `Checks`.
    pub checks: Vec<CheckType>,
    /// For the catalog's ACLs; kept and not interpreted.
    pub token: String,
    /// Checks of the service that are not among these go.
    pub replace_existing_checks: bool,
    /// Who asks.
    pub origin: Origin,
}

/// A check to register, of the node or of a service of this agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckRegistration {
    /// The service's id; empty: the node's.
    pub service_id: String,
    /// The check.
    pub check: CheckType,
    /// Kept and not interpreted.
    pub token: String,
    /// Who asks.
    pub origin: Origin,
}

/// A question to an agent about its own services and checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalRequest {
    /// All services.
    Services,
    /// One service; waits while its hash is this one.
    Service {
        /// Its id.
        id: String,
        /// Of the answer that the asker has; empty: none.
        hash: String,
        /// For how long to wait at most.
        max_wait: Duration,
    },
    /// All checks.
    Checks,
    /// Registers a service.
    RegisterService(ServiceRegistration),
    /// Removes a service and its checks.
    DeregisterService {
        /// Its id.
        id: String,
    },
    /// Registers a check.
    RegisterCheck(CheckRegistration),
    /// Removes a check.
    DeregisterCheck {
        /// Its id.
        id: String,
    },
    /// Says how a TTL check stands.
    UpdateTtl {
        /// The check's id.
        id: String,
        /// `passing`, `warning` or `critical`.
        status: String,
        /// Why.
        output: String,
    },
    /// Takes a service out of use, or back into it.
    ServiceMaintenance {
        /// Its id.
        id: String,
        /// Out of use.
        enable: bool,
        /// Why; empty: Consul's default text.
        reason: String,
    },
    /// Takes all that is on this node out of use, or back into it.
    NodeMaintenance {
        /// Out of use.
        enable: bool,
        /// Why; empty: Consul's default text.
        reason: String,
    },
    /// The configuration was read again.
    Reload(Box<LocalReload>),
}

/// What a configuration that was read again says of the local state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalReload {
    /// Services of files; those that a file brought before and that are not among these go.
    pub services: Vec<ServiceRegistration>,
    /// Likewise.
    pub checks: Vec<CheckRegistration>,
    /// What operators say of the node, and `consul-network-segment`.
    pub node_meta: BTreeMap<String, String>,
    /// `discard_check_output`.
    pub discard_check_output: bool,
}

/// An answer about this agent's services and checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalReply {
    /// Done.
    Done,
    /// By their ids; indexes are 0.
    Services(BTreeMap<String, NodeService>),
    /// One service, and the hash that says whether it has changed; none: it is not there.
    Service(Option<Box<(NodeService, String)>>),
    /// By their ids; indexes are 0.
    Checks(BTreeMap<String, LocalCheck>),
    /// Refused: the request makes no sense (400), with Consul's text.
    Invalid(String),
    /// Refused: what it is about is not there (404), with Consul's text.
    NotFound(String),
}

/// A check of this agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalCheck {
    /// As the catalog gets it.
    pub check: HealthCheck,
    /// What it was registered with; of no kind for a check that only exists, such as maintenance.
    pub registered: CheckType,
}

/// Names a probe under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProbeId(pub u64);

/// One look at what a check is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The check's id, for log lines.
    pub check_id: String,
    /// What to do; defaults are filled in (spec api 3.4): timeout, method.
    pub definition: CheckDefinition,
    /// At most so much of the output is kept, bytes.
    pub output_max_size: u64,
}

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// All is well.
    Passing,
    /// Something is wrong; still in use.
    Warning,
    /// Out of use.
    Critical,
}

impl Health {
    /// Consul's word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Health::Passing => crate::state::PASSING,
            Health::Warning => "warning",
            Health::Critical => crate::state::CRITICAL,
        }
    }

    /// The health of this word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        [Health::Passing, Health::Warning, Health::Critical]
            .into_iter()
            .find(|it| it.word() == word)
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeResult {
    /// How it stands.
    pub health: Health,
    /// For people; already cut to the probe's limit.
    pub output: String,
    /// It counts at once, past the thresholds: a script that did not start or ran out of time.
    pub at_once: bool,
}

/// Names an order to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeepId(pub u64);

/// A change of the definitions on disk (spec cluster 8.1). Several of one item take effect in the order
/// in which they are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// `services/HASH`.
    Service(ServiceRegistration),
    /// Not any more.
    NoService {
        /// Its id.
        id: String,
    },
    /// `checks/HASH`.
    Check(CheckRegistration),
    /// Not any more, nor its state.
    NoCheck {
        /// Its id.
        id: String,
    },
    /// `checks/state/HASH`: how a TTL check stands, and until when that counts.
    TtlState(TtlState),
}

/// How a TTL check stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TtlState {
    /// The check's id.
    pub check_id: String,
    /// How it stands.
    pub health: Health,
    /// Why.
    pub output: String,
    /// It counts for so long from now on; the shell turns it into a time of the wall clock.
    pub valid_for: Duration,
}

/// What an agent starts with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definitions {
    /// Of files of the configuration, then those that were kept.
    pub services: Vec<ServiceRegistration>,
    /// Likewise.
    pub checks: Vec<CheckRegistration>,
    /// Of kept TTL checks, as far as they still count; `valid_for` is what is left.
    pub ttl_states: Vec<TtlState>,
}
