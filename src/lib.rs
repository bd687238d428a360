//! Proconsul: a service-discovery agent that behaves like Consul.

pub mod agent;
pub mod base;
pub mod driver;
pub mod raft;
pub mod state;
pub mod wire;
