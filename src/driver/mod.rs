//! L5: the shell around the agent's core. It owns sockets, tasks and the loop, and decides nothing.
//!
//! ```text
//!   :8500 ── http ──┐                         ┌── disk task ── Store ── files
//!   :8600 ── dns ───┤                         │
//!   :8300 ── rpc ───┼──► mailbox ─► event loop ├── raft links ─┐
//!   signals ────────┘    (Message)   Agent     ├── rpc links ──┴── :8300 of the others
//!                                              └── snapshots ──┘
//! ```
//!
//! One task runs the core; all others only translate and talk to it through the mailbox. The shell is
//! generic over [`Runtime`](crate::base::runtime::Runtime): what ships and what is simulated is this
//! same code.

mod bootstrap;
mod calls;
pub mod definitions;
mod disk_task;
mod dns;
mod event_loop;
mod figures;
mod foreign_data;
mod frames;
mod front;
mod gossip;
mod joining;
mod lifecycle;
mod link;
mod local;
mod mailbox;
mod movement;
mod mux;
mod node;
mod observer;
mod peers;
mod peers_json;
pub mod persist;
mod pid_file;
pub mod probes;
pub mod recovery;
mod reload;
mod server_port;
mod snapshot_stream;
mod snapshots;
mod start_gossip;
mod statsd;
mod storage;
mod substreams;
mod watches;

pub use mailbox::Handle;
pub use node::{Exit, Node};
pub use observer::{Observer, Unobserved};
