//! Who holds which lock, as one server's state machine has it: the fold of [`What::Locks`].
//!
//! ```text
//!  n1 │ lock/0 held by a session of c1       holder:lock/0 = c1, locked('lock/0')
//!     │ lock/0 held by nobody                holder:lock/0 = nobody
//! ```
//!
//! A process that starts has what its snapshot holds, which is told as rows too. Nothing is said here of
//! sessions that hold nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::What;

/// A key as it is held now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockRow {
    /// The key.
    pub key: String,
    /// By whom; none: by nobody.
    pub holder: Option<Holder>,
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// The session.
    pub session: String,
    /// The node that the session is bound to, as the session names it.
    pub node: String,
}

/// The locks that are held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locks(BTreeMap<String, Holder>);

impl Locks {
    /// Takes in an event of its server; whether it changed anything.
    pub(super) fn take(&mut self, what: &What) -> bool {
        match what {
            What::Started => self.0.clear(),
            What::Locks { rows, .. } => {
                for row in rows {
                    match &row.holder {
                        Some(holder) => drop(self.0.insert(row.key.clone(), holder.clone())),
                        None => drop(self.0.remove(&row.key)),
                    }
                }
            }
            _ => return false,
        }
        true
    }

    /// Who holds this key.
    #[must_use]
    pub fn holder(&self, key: &str) -> Option<&Holder> {
        self.0.get(key)
    }
}
