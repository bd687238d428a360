//! What one applied command changed, for waking blocking queries.

use crate::state::types::Query;

/// A part of the store that a command changed. A command that changed nothing has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This key was written or removed.
    Key(String),
    /// All keys with this byte prefix were removed, and there was at least one.
    Prefix(String),
}

impl Query {
    /// Whether the change may have changed this query's rows. Never wrongly false; wrongly true only
    /// for the removal of a prefix that held other keys than those asked for.
    #[must_use]
    pub fn is_touched_by(&self, change: &Change) -> bool {
        match (self, change) {
            (Query::KvGet { key }, Change::Key(changed)) => key == changed,
            (Query::KvGet { key }, Change::Prefix(gone)) => key.starts_with(gone.as_str()),
            (Query::KvList { prefix } | Query::KvKeys { prefix, .. }, Change::Key(changed)) => {
                changed.starts_with(prefix.as_str())
            }
            (Query::KvList { prefix } | Query::KvKeys { prefix, .. }, Change::Prefix(gone)) => {
                gone.starts_with(prefix.as_str()) || prefix.starts_with(gone.as_str())
            }
        }
    }
}
