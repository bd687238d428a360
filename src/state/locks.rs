//! Who holds what, for whoever follows the locks from outside and wants to be told of keys, not of
//! commands: a lock may move by a command on a key, the end of a session, or what ended that.
//!
//! ```text
//!   holdings ──► a command is applied ──► are they as they were?      O(1), by identity
//!   locks_since(before)                                               the keys whose holder is another
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::OrdSet;
use imbl::ordset::DiffItem;

use crate::state::StateStore;

/// All holds of a moment; costs O(1) to take.
#[derive(Clone, Debug)]
pub struct Holdings(OrdSet<(Arc<str>, Arc<str>)>);

/// A key whose holder is another than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockRow<'a> {
    /// The key.
    pub key: &'a str,
    /// The session that holds it now, and the session's node; none where nobody does.
    pub holder: Option<(&'a str, &'a str)>,
}

impl StateStore {
    /// Who holds what now.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        Holdings(self.kv.locked.clone())
    }

    /// Whether anything was written to the table of holds since: never wrongly false.
    #[must_use]
    pub fn holds_otherwise(&self, before: &Holdings) -> bool {
        !self.kv.locked.ptr_eq(&before.0)
    }

    /// The keys that are not held as they were, in the order of their names.
    #[must_use]
    pub fn locks_since<'a>(&'a self, before: &'a StateStore) -> Vec<LockRow<'a>> {
        let mut changed: BTreeMap<&str, Option<&str>> = BTreeMap::new();
        for item in before.kv.locked.diff(&self.kv.locked) {
            match item {
                DiffItem::Add((session, key)) => drop(changed.insert(key, Some(session))),
                DiffItem::Remove((_, key)) => drop(changed.entry(key).or_insert(None)),
            }
        }
        let node = |session| self.session(session).map_or("", |session| session.node.as_str());
        let holder = |session| (session, node(session));
        let row =
            |(key, session): (_, Option<&'a str>)| LockRow { key, holder: session.map(holder) };
        changed.into_iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Faults;
    use crate::state::{Command, KvCommand, Register, Session, SessionCommand};

    const ONE: &str = "11111111-2222-3333-4444-555555555555";

    fn apply(store: &mut StateStore, command: &Command) -> bool {
        let before = store.holdings();
        let index = store.applied().next();
        store.apply(index, command, &Faults::default());
        store.holds_otherwise(&before)
    }

    fn put(key: &str) -> Command {
        let (key, value) = (key.to_owned(), "v".into());
        Command::Kv(KvCommand::Set { key, value, flags: 0 })
    }

    #[test]
    fn a_lock_is_told_with_its_holders_node_and_when_its_session_ends() {
        let mut store = StateStore::new();
        let mut node = Register::default();
        (node.node.node, node.node.address) = ("A".to_owned(), "10.0.0.1".to_owned());
        assert!(!apply(&mut store, &Command::Register(Box::new(node))));
        let session = Session { id: ONE.to_owned(), node: "A".to_owned(), ..Session::default() };
        apply(&mut store, &Command::Session(SessionCommand::Create(Box::new(session))));
        assert!(!apply(&mut store, &put("free")));
        let before = store.clone();
        let lock = KvCommand::Lock {
            key: "lock/0".to_owned(),
            value: "v".into(),
            flags: 0,
            session: ONE.to_owned(),
        };
        assert!(apply(&mut store, &Command::Kv(lock)));
        let held = LockRow { key: "lock/0", holder: Some((ONE, "A")) };
        assert_eq!(store.locks_since(&before), [held]);
        // A write keeps the holder.
        let locked = store.clone();
        apply(&mut store, &put("lock/0"));
        assert_eq!(store.locks_since(&locked), []);
        let end = SessionCommand::Destroy { id: ONE.to_owned() };
        assert!(apply(&mut store, &Command::Session(end)));
        assert_eq!(store.locks_since(&locked), [LockRow { key: "lock/0", holder: None }]);
        assert_eq!(store.locks_since(&before), []);
    }
}
