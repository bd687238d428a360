//! One operation of one user.

use serde::{Deserialize, Serialize};

use super::request::{Reply, Request};

/// How an operation ended (spec checkers 1.3). When in doubt: unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// An answer of the operation arrived.
    Ok,
    /// Certainly without effect, and nothing observed.
    Fail,
    /// May have happened, now or later, or never.
    Unknown,
}

/// How fresh a read was asked to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "Consul's own names")]
pub enum Mode {
    Default,
    Consistent,
    Stale,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Read a key.
    Get {
        /// How fresh.
        mode: Mode,
    },
    /// Write a value.
    Put {
        /// The value.
        value: String,
    },
    /// Write if the key's version (`ModifyIndex`) is this one; 0: if absent.
    CasIndex {
        /// The expected version.
        index: u64,
        /// The new value.
        value: String,
    },
    /// Write `to` if the value is `from` (histories of other systems).
    CasValue {
        /// The expected value.
        from: String,
        /// The new value.
        to: String,
    },
    /// Append to the value (histories of other systems).
    Append {
        /// What is appended.
        value: String,
    },
    /// Remove.
    Delete,
    /// List all keys and values with this operation's `key` as prefix.
    List {
        /// How fresh.
        mode: Mode,
    },
    /// Fire a user event; its name is this operation's `key`.
    Fire {
        /// What it carries.
        payload: String,
    },
    /// List an agent's user events, once that list has another index than this.
    Events {
        /// The index last seen; 0: at once.
        index: u64,
    },
    /// On sessions, locks, watches, transactions, the catalog.
    Of(Request),
}

impl Call {
    /// Whether it is about user events, which are no keys and follow no log.
    #[must_use]
    pub fn is_of_events(&self) -> bool {
        matches!(self, Call::Fire { .. } | Call::Events { .. })
    }

    /// Whether it reads or writes plain keys, of which `linearizable` speaks.
    #[must_use]
    pub fn is_of_keys(&self) -> bool {
        !self.is_of_events() && !matches!(self, Call::Of(_))
    }
}

/// A key with what a read saw of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// Its `ModifyIndex`; none in histories without versions.
    pub modify_index: Option<u64>,
}

/// What was answered, when [`Outcome::Ok`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A write that returns nothing more.
    Done,
    /// cas: whether the comparison held.
    Swapped(bool),
    /// get: none when absent.
    Value(Option<Seen>),
    /// list; of events: the oldest first, by name.
    Values(Vec<Seen>),
    /// The answer to [`Call::Of`].
    Of(Reply),
}

impl Operation {
    /// The request and its answer, of an operation that is no plain read or write and was answered.
    #[must_use]
    pub fn answered(&self) -> Option<(&Request, &Reply)> {
        match (&self.call, &self.output) {
            (Call::Of(request), Some(Output::Of(reply))) => Some((request, reply)),
            _ => None,
        }
    }

    /// The request, of an operation that is no plain read or write.
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        match &self.call {
            Call::Of(request) => Some(request),
            _ => None,
        }
    }
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its place in the history, from 0, in the order of the calls.
    pub id: u64,
    /// The logical client: has one operation open at a time, and ends with an unknown outcome.
    pub client: u32,
    /// The user (a host of the simulation), empty in histories of other systems.
    pub user: String,
    /// The agent it was sent to, empty when not known.
    pub server: String,
    /// The key, or the prefix of a list.
    pub key: String,
    /// What was asked.
    pub call: Call,
    /// When, ns (or a position, in histories without a clock).
    pub called_at: i64,
    /// When the answer came; none when it never did.
    pub returned_at: Option<i64>,
    /// How it ended.
    pub outcome: Outcome,
    /// The answer, when ok.
    pub output: Option<Output>,
    /// `X-Consul-Index` of the answer.
    pub index: Option<u64>,
    /// The error as the user saw it, when not ok.
    pub error: Option<String>,
}
