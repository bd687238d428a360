//! Judges evidence: histories and traces, never a live cluster.

pub mod linearizable;
