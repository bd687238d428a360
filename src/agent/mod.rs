//! L2: one node of the cluster as a sans-IO composition of consensus and state.
//!
//! ```text
//!   HTTP, CLI, other servers                                       disk      peers
//!          │ Ask                                             Persisted│  ▲     │ ▲
//!          ▼                                                         ▼  │     ▼ │
//!   ┌──────────────── Agent::step(now, input, out) ────────────────────────────────┐
//!   │  route ──► lead here?  write: propose ──────────────► Raft ──► Commit ──► apply │
//!   │    │                   default read: serve                        │         │
//!   │    │                   consistent read: verify, then serve        ▼         │
//!   │    │       leader known?  forward ──► answer of the leader     StateStore    │
//!   │    │       nobody leads?  hold (≤ rpc_hold_timeout), route again   │         │
//!   │    └──────► blocked query ◄──── touched by a change ───────────────┘         │
//!   └───────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Contract: every [`Input::Ask`] ends in exactly one [`Output::Answer`] (unless the process dies);
//! every [`Output::Forward`] expects exactly one [`Input::Forwarded`].
//!
//! Invariants:
//! * A write is acknowledged only once its own entry is committed and applied here.
//! * A write whose connection to the leader broke is never sent again: its outcome is unknown
//!   (spec cluster 9.2). Reads are; so is a write of which not a byte was sent.
//! * A forwarded read does not wait for a server that is no longer the leader: a server that lost its
//!   power never answers, and would keep a blocking query for its whole wait.
//! * A request that changes something leaves this server at most once, whatever it is. A request that
//!   only reads may be asked again.
//! * The state is the snapshot's from the moment Raft says so, and whoever blocks on the old one is
//!   answered then (see `operator`, `images`).
//! * A consistent read is answered from a state that has applied all that was committed when a quorum
//!   confirmed this leader, *after* the read came in.
//! * A default or consistent read that blocks on a leader which then loses its office is routed again,
//!   never answered from the deposed state.
//!
//! Deliberately not here: sockets, encoding of messages between servers, HTTP's forms.

mod admitted;
mod any;
pub mod autopilot;
mod begin;
mod client;
mod coordinates;
mod core;
mod duties;
mod event;
mod executed;
mod expecting;
mod heard;
mod hold;
mod images;
mod io;
mod keyring;
mod leave;
mod local;
mod lock_delays;
mod member_lines;
mod members;
mod membership;
mod operator;
mod pending;
mod reconcile;
mod route;
mod serve;
mod sessions;
mod steering;
mod told;
mod tombstones;
pub mod types;
mod user_events;

#[cfg(test)]
mod tests;

pub use any::AnyAgent;
pub use client::{Client, ClientConfig};
pub use coordinates::{CoordinateConfig, coordinate_of};
pub use core::{Agent, AgentConfig};
pub use event::{Event, Speaker};
pub use io::{Input, Output};
pub use keyring::{KeyringOperation, PoolKeys};
pub use local::validate;
pub use local::{
    CheckRegistration, CheckType, Definitions, Health, Item, Keep, KeepId, LocalCheck, LocalConfig,
    LocalFact, LocalReload, LocalReply, LocalRequest, Origin, Probe, ProbeId, ProbeResult,
    ServiceRegistration, TtlState,
};
pub use members::{
    Directory, Identity, LEGACY_BUILD, LanAdmission, Members, MembersConfig, PoolId, Role,
    ServerInfo, WanAdmission,
};
pub use membership::{Membership, Reconciled};
pub use types::*;
pub use user_events::{FiredEvent, KEPT as USER_EVENTS_KEPT, UserEventFact};
