//! An agent of either kind, for the shell that runs both alike.

use crate::base::{Duration, Instant};

use super::client::Client;
use super::core::Agent;
use super::io::{Input, Output};
use super::members::Members;

/// A server or a client.
pub enum AnyAgent {
    /// It keeps the state.
    Server(Box<Agent>),
    /// It asks servers.
    Client(Box<Client>),
}

impl AnyAgent {
    /// The one way in.
    pub fn step(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        match self {
            AnyAgent::Server(agent) => agent.step(now, input, out),
            AnyAgent::Client(client) => client.step(now, input, out),
        }
    }

    /// When [`Input::Wake`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self {
            AnyAgent::Server(agent) => agent.deadline(),
            AnyAgent::Client(client) => client.deadline(),
        }
    }

    /// Of a server that leads: for how long each of the other voters has said nothing to it.
    #[must_use]
    pub fn silences(&self, now: Instant) -> Vec<Duration> {
        match self {
            AnyAgent::Server(agent) => agent.raft().silences(now),
            AnyAgent::Client(_) => Vec::new(),
        }
    }

    /// Its pools, to look at.
    #[must_use]
    pub fn members(&self) -> Option<&Members> {
        match self {
            AnyAgent::Server(agent) => agent.members(),
            AnyAgent::Client(client) => Some(client.members()),
        }
    }
}
