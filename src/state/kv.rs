//! The key/value table (spec cluster 10.5), with the locks on keys.
//!
//! Indexes: an entry has the index that created it and the one that last changed it; the table has
//! the index of its latest change. A write that leaves an entry as it was is no change.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use imbl::{OrdMap, OrdSet};

use crate::base::Faults;
use crate::planted;
use crate::state::change::Change;
use crate::state::graveyard::Graveyard;
use crate::state::session::SessionTable;
use crate::state::types::{Answer, CommandResult, KvCommand, KvEntry, Rows};

/// All keys, and the memory of removed ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KvTable {
    pub(super) entries: OrdMap<Arc<str>, Arc<KvEntry>>,
    pub(super) graveyard: Graveyard,
    /// Who holds what: a session's id, a key.
    pub(super) locked: OrdSet<(Arc<str>, Arc<str>)>,
    /// Index of the latest change to any key: Consul's table index "kvs".
    pub(super) latest: u64,
}

impl KvTable {
    /// Applies the command of entry `index`; the change, if there was one.
    pub(super) fn apply(
        &mut self,
        index: u64,
        command: &KvCommand,
        sessions: &SessionTable,
        faults: &Faults,
    ) -> (CommandResult, Option<Change>) {
        let done = |change| (CommandResult::Flag(true), change);
        let failed = (CommandResult::Flag(false), None);
        match command {
            KvCommand::Set { key, .. }
            | KvCommand::Cas { key, .. }
            | KvCommand::Delete { key }
            | KvCommand::DeleteCas { key, .. }
            | KvCommand::Lock { key, .. }
            | KvCommand::Unlock { key, .. }
                if key.is_empty() =>
            {
                (CommandResult::Error("Must provide key".to_owned()), None)
            }
            KvCommand::Set { key, value, flags } => done(self.set(index, key, value, *flags)),
            KvCommand::Cas { key, value, flags, index: expected } => {
                if self.modify_index(key) == *expected || planted!(faults, "cas-ignores-index") {
                    done(self.set(index, key, value, *flags))
                } else {
                    failed
                }
            }
            KvCommand::Delete { key } => done(self.delete(index, key)),
            KvCommand::DeleteCas { key, index: expected } => match self.entries.get(&**key) {
                Some(entry) if entry.modify_index != *expected => failed,
                _ => done(self.delete(index, key)),
            },
            KvCommand::DeleteTree { prefix } => done(self.delete_tree(index, prefix)),
            KvCommand::Lock { key, value, flags, session } => {
                let holder = match sessions.find(session) {
                    Ok(session) => session.id.as_str(),
                    Err(text) => return (CommandResult::Error(text), None),
                };
                let old = self.entries.get(&**key);
                let times = old.map_or(0, |old| old.lock_index);
                let lock_index = match old.and_then(|old| old.session.as_deref()) {
                    // Oracle: lock-exclusion.
                    Some(other)
                        if other != holder && !planted!(faults, "lock-given-though-held") =>
                    {
                        return failed;
                    }
                    Some(_) => times,
                    None => times + 1,
                };
                done(self.put(index, key, value, *flags, lock_index, Some(holder)))
            }
            KvCommand::Unlock { session, .. } if session.is_empty() => {
                (CommandResult::Error("missing session".to_owned()), None)
            }
            KvCommand::Unlock { key, value, flags, session } => {
                let old = self.entries.get(&**key);
                let holder = old.and_then(|old| old.session.as_deref());
                let lock_index = old.map_or(0, |old| old.lock_index);
                match holder.is_some_and(|holder| holder.eq_ignore_ascii_case(session)) {
                    true => done(self.put(index, key, value, *flags, lock_index, None)),
                    false => failed,
                }
            }
        }
    }

    /// 0 when absent: what a compare-and-set that creates compares with.
    fn modify_index(&self, key: &str) -> u64 {
        self.entries.get(key).map_or(0, |entry| entry.modify_index)
    }

    fn set(&mut self, index: u64, key: &str, value: &Bytes, flags: u64) -> Option<Change> {
        // Consul 1.9.8 keeps the holder of a lock but not the count (recorded behaviour).
        let holder = self.entries.get(key).and_then(|old| old.session.clone());
        self.put(index, key, value, flags, 0, holder.as_deref())
    }

    /// Writes an entry, unless it is so already.
    fn put(
        &mut self,
        index: u64,
        key: &str,
        value: &Bytes,
        flags: u64,
        lock_index: u64,
        holder: Option<&str>,
    ) -> Option<Change> {
        let old = self.entries.get(key).cloned();
        let new = KvEntry {
            key: key.to_owned(),
            value: value.clone(),
            flags,
            lock_index,
            session: holder.map(str::to_owned),
            create_index: old.as_ref().map_or(index, |old| old.create_index),
            modify_index: index,
        };
        if old.is_some_and(|old| old.has_content_of(&new)) {
            return None;
        }
        self.insert(new);
        self.latest = index;
        Some(Change::Key(key.to_owned()))
    }

    /// Writes a row, and notes who holds it.
    pub(super) fn insert(&mut self, entry: KvEntry) -> Option<Arc<KvEntry>> {
        let key: Arc<str> = entry.key.as_str().into();
        let holder = entry.session.as_deref().map(Arc::from);
        let old = self.entries.insert(key.clone(), Arc::new(entry));
        self.forget_holder(old.as_deref());
        self.locked.extend(holder.map(|holder| (holder, key)));
        old
    }

    /// Removes a row.
    fn remove(&mut self, key: &str) -> Option<Arc<KvEntry>> {
        let old = self.entries.remove(key);
        self.forget_holder(old.as_deref());
        old
    }

    fn forget_holder(&mut self, old: Option<&KvEntry>) {
        if let Some((old, holder)) = old.and_then(|old| Some((old, old.session.as_deref()?))) {
            self.locked.remove(&(holder.into(), old.key.as_str().into()));
        }
    }

    /// The holder has ended: the keys that it held, which have none now, or are gone.
    pub(super) fn free(&mut self, index: u64, holder: &str, delete: bool) -> Vec<String> {
        let holder: Arc<str> = holder.into();
        let from = self.locked.range((holder.clone(), Arc::from(""))..);
        let held: Vec<Arc<str>> =
            from.take_while(|(by, _)| *by == holder).map(|(_, key)| key.clone()).collect();
        for key in &held {
            if delete {
                self.delete(index, key);
            } else if let Some(old) = self.entries.get(key).cloned() {
                self.insert(KvEntry { session: None, modify_index: index, ..(*old).clone() });
                self.latest = index;
            }
        }
        held.iter().map(|key| (**key).to_owned()).collect()
    }

    fn delete(&mut self, index: u64, key: &str) -> Option<Change> {
        self.remove(key)?;
        self.graveyard.bury_key(key, index);
        self.latest = index;
        Some(Change::Key(key.to_owned()))
    }

    fn delete_tree(&mut self, index: u64, prefix: &str) -> Option<Change> {
        let doomed: Vec<Arc<str>> =
            self.below(prefix).map(|entry| entry.key.as_str().into()).collect();
        if doomed.is_empty() {
            return None;
        }
        for key in &doomed {
            self.remove(key);
        }
        self.graveyard.bury_prefix(prefix, index);
        self.latest = index;
        Some(Change::Prefix(prefix.to_owned()))
    }

    /// One key. An absent key has the index of the table, so any write moves it (as in Consul).
    pub(super) fn get(&self, key: &str) -> Answer {
        match self.entries.get(key) {
            Some(entry) => Answer {
                index: entry.modify_index,
                rows: Rows::Entries(vec![KvEntry::clone(entry)]),
            },
            None => Answer { index: self.latest, rows: Rows::Entries(Vec::new()) },
        }
    }

    /// All entries with this prefix.
    pub(super) fn list(&self, prefix: &str) -> Answer {
        let rows: Vec<KvEntry> = self.below(prefix).map(|entry| KvEntry::clone(entry)).collect();
        Answer { index: self.index_below(prefix), rows: Rows::Entries(rows) }
    }

    /// Their names, each cut after the first separator beyond the prefix; what is then equal stands
    /// together, because the order is by bytes, and is merged.
    pub(super) fn keys(&self, prefix: &str, separator: &str) -> Answer {
        let mut names: Vec<String> = Vec::new();
        for entry in self.below(prefix) {
            let name = cut(&entry.key, prefix.len(), separator);
            if names.last().is_none_or(|last| last != name) {
                names.push(name.to_owned());
            }
        }
        Answer { index: self.index_below(prefix), rows: Rows::Keys(names) }
    }

    fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Arc<KvEntry>> {
        self.entries
            .range::<_, str>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(_, entry)| entry)
    }

    /// The index of a list. Without a trace of any key below the prefix it is the table's: whatever
    /// comes next has a higher one.
    fn index_below(&self, prefix: &str) -> u64 {
        if prefix.is_empty() {
            return self.latest;
        }
        let entries = self.below(prefix).map(|entry| entry.modify_index).max().unwrap_or(0);
        match entries.max(self.graveyard.latest_below(prefix)) {
            0 => self.latest,
            below => below.max(self.graveyard.latest_around(prefix)),
        }
    }

    /// Everything that must hold of the table after the entry `applied`.
    pub(super) fn check(&self, applied: u64) {
        crate::invariant!(self.latest <= applied, "kvs index {} > applied {applied}", self.latest);
        self.graveyard.check();
        let graves = self.graveyard.latest();
        crate::invariant!(graves <= self.latest, "tombstone {graves} > kvs index {}", self.latest);
        for (key, entry) in &self.entries {
            crate::invariant!(**key == *entry.key && !key.is_empty(), "key {key:?}: {entry:?}");
            crate::invariant!(
                0 < entry.create_index
                    && entry.create_index <= entry.modify_index
                    && entry.modify_index <= self.latest,
                "indexes of {key:?}: {} {} in a table at {}",
                entry.create_index,
                entry.modify_index,
                self.latest
            );
        }
    }
}

impl KvEntry {
    /// Equal but for the two indexes.
    fn has_content_of(&self, other: &KvEntry) -> bool {
        self.value == other.value
            && self.flags == other.flags
            && self.lock_index == other.lock_index
            && self.session == other.session
    }
}

/// The key up to and including the first separator at or after byte `from`; all of it when there is
/// none or the separator is empty.
fn cut<'a>(key: &'a str, from: usize, separator: &str) -> &'a str {
    if separator.is_empty() {
        return key;
    }
    match key[from..].find(separator) {
        Some(at) => &key[..from + at + separator.len()],
        None => key,
    }
}
