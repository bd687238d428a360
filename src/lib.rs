//! Proconsul: a service-discovery agent that behaves like Consul.

pub mod agent;
pub mod base;
pub mod cli;
pub mod config;
pub mod dns;
pub mod driver;
pub mod gossip;
pub mod http;
pub mod raft;
pub mod runtime;
pub mod state;
pub mod watch;
pub mod wire;

/// The release of Consul whose behaviour is followed.
pub const CONSUL_VERSION: &str = "1.9.8";
