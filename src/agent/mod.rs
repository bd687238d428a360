//! L2: one node of the cluster, sans-IO.

pub mod types;

pub use types::*;
