//! Who watches a node: the testbed's trace, or nobody.

use crate::agent;
use crate::raft::Restored;

/// Receives a node's facts as they happen. Must not block.
pub trait Observer: Send + Sync + 'static {
    /// What storage recovery found, before anything else happens.
    fn recovered(&self, restored: &Restored);
    /// A fact from the agent's core.
    fn event(&self, event: &agent::Event);
}

/// Watches nothing: what ships. Log lines go to the runtime all the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn recovered(&self, _: &Restored) {}
    fn event(&self, _: &agent::Event) {}
}
