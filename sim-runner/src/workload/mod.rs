//! What users do while the cluster suffers.

mod choice;
pub mod events;
pub mod kv;
pub mod user;
