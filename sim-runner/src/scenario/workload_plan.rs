//! What the users of a workload do, beyond plain keys and user events: the plans of language section 8.

use proconsul::base::Duration;

use crate::history::request::{Behavior, Watched};

use super::model::Span;

/// How many services there are when nobody says.
pub const SERVICES: u64 = 3;

/// The name of one of them, from 0.
#[must_use]
pub fn service_name(number: u64) -> String {
    format!("service-{number}")
}

/// `kind = "lock"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockWorkload {
    /// Number of locks.
    pub keys: u32,
    /// How long one is held, drawn each time.
    pub hold: Span,
    /// Of the users' sessions.
    pub ttl: Duration,
}

/// `kind = "session"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionWorkload {
    /// Of each session.
    pub ttl: Duration,
    /// What becomes of the keys that it holds.
    pub behavior: Behavior,
}

/// `kind = "catalog"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatalogWorkload {
    /// Number of services.
    pub services: u32,
    /// Of each service, per user.
    pub instances: u32,
}

/// `kind = "health"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthWorkload {
    /// Number of services.
    pub services: u32,
    /// After this a check changes its state.
    pub flap: Span,
}

/// `kind = "watch"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchWorkload {
    /// What is polled for.
    pub on: Watched,
}

/// `kind = "txn"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnWorkload {
    /// Number of keys.
    pub keys: u32,
    /// Operations of one transaction.
    pub ops: u32,
}
