//! What happens to an agent's own services and checks, as facts, with Consul's lines about them.

use crate::base::runtime::Level;
use crate::state::{HealthCheck, NodeService};

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalFact {
    /// A service of this agent is like this now, or is no more. Not logged.
    ServiceIs {
        /// Its id.
        id: String,
        /// As it is.
        service: Option<Box<NodeService>>,
    },
    /// A check of this agent, likewise.
    CheckIs {
        /// Its id.
        id: String,
        /// As it is.
        check: Option<Box<HealthCheck>>,
    },
    /// The catalog has this about the node.
    Synced(Item),
    /// The catalog has it no more.
    Deregistered(Item),
    /// The catalog did not take it: why.
    NotSynced(Item, String),
    /// The catalog did not let it go: why.
    NotDeregistered(Item, String),
    /// A full comparison with the catalog failed.
    RemoteStateNotSynced(String),
    /// Changes could not be pushed.
    ChangesNotSynced(String),
    /// A check has run, or was told, and stands like this.
    StatusUpdated {
        /// Its id.
        check: String,
        /// `passing` or `warning`.
        status: &'static str,
    },
    /// A check has run and is critical.
    IsCritical {
        /// Its id.
        check: String,
    },
    /// A check ran, and its result does not count yet.
    BelowThreshold {
        /// Its id.
        check: String,
        /// It passed.
        passed: bool,
    },
    /// Nobody told in time how a check stands.
    MissedTtl {
        /// Its id.
        check: String,
    },
    /// A check wants to run more often than it may.
    IntervalRaised {
        /// Its id.
        check: String,
    },
    /// A critical check wants to take its service with it sooner than it may.
    DeregisterIntervalRaised {
        /// Its id.
        check: String,
    },
    /// A check took its service with it.
    Reaped {
        /// The service's id.
        service: String,
        /// The check's id.
        check: String,
    },
    /// Nobody knows the service that is to go.
    NoSuchService {
        /// Its id.
        service: String,
    },
    /// Maintenance of the node, or of a service, began or ended.
    Maintenance {
        /// None: the node.
        service: Option<String>,
        /// It began.
        entered: bool,
    },
    /// What the agent was to start with could not be taken in.
    NotLoaded(Item, String),
}

/// What a fact is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// The node itself.
    Node,
    /// A service, by its id.
    Service(String),
    /// A check, by its id.
    Check(String),
}

impl Item {
    /// Consul's word, and the field that names it.
    fn words(&self) -> (&'static str, String) {
        match self {
            Item::Node => ("node info", String::new()),
            Item::Service(id) => ("service", format!("service={id}")),
            Item::Check(id) => ("check", format!("check={id}")),
        }
    }
}

impl LocalFact {
    /// The line that Consul's users look for: level and text; none for what is not logged.
    #[must_use]
    pub fn line(&self) -> Option<(Level, String)> {
        Some(match self {
            LocalFact::ServiceIs { .. } | LocalFact::CheckIs { .. } => return None,
            LocalFact::Synced(item) => {
                let (word, field) = item.words();
                let text = format!("Synced {word}");
                (Level::Info, if field.is_empty() { text } else { format!("{text}: {field}") })
            }
            LocalFact::Deregistered(item) => {
                let (word, field) = item.words();
                (Level::Info, format!("Deregistered {word}: {field}"))
            }
            LocalFact::NotSynced(item, why) => {
                let (word, field) = item.words();
                let gap = if field.is_empty() { "" } else { " " };
                (Level::Warn, format!("Syncing {word} failed.: {field}{gap}error=\"{why}\""))
            }
            LocalFact::NotDeregistered(item, why) => {
                let (word, field) = item.words();
                (Level::Warn, format!("Deregistering {word} failed.: {field} error=\"{why}\""))
            }
            LocalFact::RemoteStateNotSynced(why) => {
                (Level::Error, format!("failed to sync remote state: error=\"{why}\""))
            }
            LocalFact::ChangesNotSynced(why) => {
                (Level::Error, format!("failed to sync changes: error=\"{why}\""))
            }
            LocalFact::NotLoaded(item, why) => {
                let (word, field) = item.words();
                (Level::Error, format!("Failed to restore {word}: {field} error=\"{why}\""))
            }
            _ => self.check_line(),
        })
    }

    fn check_line(&self) -> (Level, String) {
        match self {
            LocalFact::StatusUpdated { check, status } => {
                (Level::Debug, format!("Check status updated: check={check} status={status}"))
            }
            LocalFact::IsCritical { check } => {
                (Level::Warn, format!("Check is now critical: check={check}"))
            }
            LocalFact::BelowThreshold { check, passed } => {
                let what = if *passed { "passed" } else { "failed" };
                let which = if *passed { "success" } else { "failure" };
                let text = format!("Check {what} but has not reached {which} threshold");
                (Level::Warn, format!("{text}: check={check}"))
            }
            LocalFact::MissedTtl { check } => {
                (Level::Warn, format!("Check missed TTL, is now critical: check={check}"))
            }
            LocalFact::IntervalRaised { check } => {
                let text = "check has interval below minimum";
                (Level::Warn, format!("{text}: check={check} minimum_interval=1s"))
            }
            LocalFact::DeregisterIntervalRaised { check } => {
                let text = "check has deregister interval below minimum";
                (Level::Warn, format!("{text}: check={check} minimum_interval=1m0s"))
            }
            LocalFact::Reaped { service, check } => {
                let text = "Check for service has been critical for too long; deregistered service";
                (Level::Info, format!("{text}: service={service} check={check}"))
            }
            LocalFact::NoSuchService { service } => {
                let why = format!("Service \\\"{service}\\\" does not exist");
                let text = "Failed to deregister service";
                (Level::Warn, format!("{text}: service={service} error=\"{why}\""))
            }
            LocalFact::Maintenance { service, entered } => {
                let what = if *entered { "entered" } else { "left" };
                let text = match service {
                    None => format!("Node {what} maintenance mode"),
                    Some(id) => format!("Service {what} maintenance mode: service={id}"),
                };
                (Level::Info, text)
            }
            // Of those above.
            _ => (Level::Debug, String::new()),
        }
    }
}
