//! Gossip: who is there, who has gone, and what all should hear. Sans-IO, two layers in one pool.
//!
//! ```text
//!               ┌──────────────────── Pool ────────────────────┐
//!   datagrams ─►│  swim   probes, suspicion, dissemination     │─► datagrams
//!   exchanges ─►│   │  ▲   trait Delegate: broadcasts, state    │─► exchanges (TCP)
//!   commands  ─►│   ▼  │                                        │─► member events, user events,
//!   deadline  ─►│  serf   Lamport clocks, intents, events      │   snapshot records, facts
//!               └───────────────────────────────────────────────┘
//! ```
//!
//! [`swim`] is memberlist's protocol (SWIM paper, Lifeguard paper, spec cluster 1), [`serf`] is Serf's on
//! top (spec cluster 2). Both speak the typed messages of [`message`]; their bytes are made and read in
//! `wire::gossip`, and reach the cores as a [`Codec`] of plain functions where a size decides.
//!
//! What is not here: sockets, name lookup, encryption, compression (shell and `wire`), and what Consul
//! makes of a member (`agent`).

pub mod coordinate;
pub mod event;
pub mod io;
pub mod message;
pub mod pool;
pub mod pool_io;
pub mod serf;
pub mod swim;

pub use coordinate::DIMENSIONS;
pub use event::Event;
pub use io::{
    Admission, Candidate, Codec, ExchangeId, JoinReport, MemberEvent, MemberEventKind, MemberView,
    Status,
};
pub use message::{
    Accusation, Alive, Coordinate, EventSlot, Incarnation, IndirectPing, LamportTime, MemberState,
    Message, NodeState, Ping, PushPull, Query, QueryFilter, QueryResponse, Relay, SequenceNumber,
    SerfMessage, SerfState, Source, Tags, UserEvent, Versions,
};
pub use pool::{Pool, PoolConfig, Stats};
pub use pool_io::{Input, Output, QueryKey, SnapshotWrite};
