//! Who watches a node: the testbed's trace, or nobody.

use crate::agent;
use crate::raft::Restored;
use crate::state::StateStore;

/// Receives a node's facts as they happen. Must not block.
pub trait Observer: Send + Sync + 'static {
    /// What storage recovery found, and the state in its snapshot, before anything else happens.
    fn recovered(&self, restored: &Restored, state: &StateStore);
    /// A fact from the agent's core.
    fn event(&self, event: &agent::Event);
}

/// Watches nothing: what ships. Log lines go to the runtime all the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn recovered(&self, _: &Restored, _: &StateStore) {}
    fn event(&self, _: &agent::Event) {}
}
