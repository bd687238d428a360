//! What users do while the cluster suffers.

pub mod catalog;
mod choice;
pub mod client;
pub mod dns;
pub mod encode;
pub mod events;
pub mod kv;
pub mod locks;
pub mod resolver;
pub mod sessions;
pub mod transactions;
pub mod user;
pub mod watches;
