//! This agent's own services and checks: registered here, watched here, pushed to the catalog from here
//! (spec cluster 8).
//!
//! ```text
//!   Request::Local ──► local state ──► out of sync ──► Catalog.Register / Deregister   (anti-entropy)
//!                        ▲    │  └───► Output::Keep     definitions that outlive the process
//!      Input::Probed ────┘    └──────► Output::Probe    one look at what a check is about
//! ```
//!
//! The state is authoritative for the node's own services and checks: what the catalog says otherwise is
//! put right. When probes are due, and what their results count for, is decided here; what a probe does
//! on the network or with a process is the shell's.

mod agenda;
mod alias;
mod checks;
mod compare;
mod config;
mod core;
mod entries;
mod facts;
mod keeping;
mod load;
mod pass;
mod register;
mod reload;
mod runner;
mod syncer;
mod types;
mod watch;

pub(super) use core::{Errand, Local};
pub mod validate;

pub use config::LocalConfig;
pub use facts::{Item, LocalFact};
pub use types::*;

#[cfg(test)]
mod bench_tests;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod random_tests;
