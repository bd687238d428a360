//! L1: the replicated store.

pub mod types;

pub use types::*;
