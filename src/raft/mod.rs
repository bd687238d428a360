//! L1: the consensus core, sans-IO.

pub mod types;

pub use types::*;
