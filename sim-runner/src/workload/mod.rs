//! What users do while the cluster suffers.

pub mod kv;
pub mod user;
