//! L3: watches (spec api 7): what is looked at, how it is asked for again and again, and what a handler
//! is given. Consul's `api/watch` in other words.
//!
//! ```text
//!   parameters ─► Plan::parse ─► Plan ─► Plan::question ─► GET …?index=7 ──► the agent's HTTP API
//!                                          ▲                                    │
//!   handler ◄── Output::Hand ◄── Poller ───┘ Output::Ask        Plan::read ◄────┘
//! ```
//!
//! * [`Plan`]: the kind of a watch and its parameters, refused in Consul's words.
//! * [`Poller`]: the loop as a sans-IO core. Who runs it owns the clock, the connection and the handler.
//! * [`run`]: the loop over a [`Runtime`](crate::base::runtime::Runtime), for the command line and for the agent.
//! * [`Configured`]: a watch of a configuration file, with its handler.
//!
//! What a handler is given is what Consul's Go program would give it: the answer decoded into the
//! client library's structs and encoded again (`data.rs`), so that names, order and defaults are theirs.
//!
//! A watch tells of states, not of changes: what came and went between two polls is never seen, and a
//! handler that is slow sees the newest state when it is done. Nothing that stays is missed.
//!
//! Deliberately not here: the mesh's kinds (`connect_roots`, `connect_leaf`), TLS.

mod configured;
mod data;
mod plan;
mod poller;
mod query;
mod run;

pub use configured::{Configured, Handler, HttpHandler};
pub use data::indented;
pub use plan::{Params, Plan, Subject};
pub use poller::{Input, Marker, Output, Poller};
pub use query::Question;
pub use run::{Asker, Handed, Link, Owner, Place, run};
