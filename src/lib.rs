//! Proconsul: a service-discovery agent that behaves like Consul.

pub mod agent;
pub mod base;
pub mod raft;
pub mod runtime;
pub mod state;
