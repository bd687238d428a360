//! The store against a model: a plain map, in which every query is answered by looking at all of it.
//!
//! The model knows results and rows, and the one rule about indexes that clients depend on: whenever
//! the rows of a query change, its index rises to the index of the entry that changed them, and the
//! entry's changes touch the query.

use std::collections::BTreeMap;

use bytes::Bytes;
use proconsul::base::{Faults, LogIndex};
use proconsul::state::{
    Change, Command, CommandResult, KvCommand, KvEntry, Query, Rows, StateStore,
};
use proptest::prelude::*;

#[derive(Default)]
struct Model {
    entries: BTreeMap<String, KvEntry>,
}

impl Model {
    fn apply(&mut self, at: u64, command: &KvCommand) -> CommandResult {
        let done = |flag| CommandResult::Flag(flag);
        let current = |key: &String| self.entries.get(key).map_or(0, |entry| entry.modify_index);
        match command {
            KvCommand::Set { key, value, flags } => {
                self.set(at, key, value, *flags);
                done(true)
            }
            KvCommand::Cas { key, value, flags, index } => {
                let matches = current(key) == *index;
                if matches {
                    self.set(at, key, value, *flags);
                }
                done(matches)
            }
            KvCommand::Delete { key } => {
                self.entries.remove(key);
                done(true)
            }
            KvCommand::DeleteCas { key, index } => {
                let matches = current(key) == 0 || current(key) == *index;
                if matches {
                    self.entries.remove(key);
                }
                done(matches)
            }
            KvCommand::DeleteTree { prefix } => {
                self.entries.retain(|key, _| !key.starts_with(prefix.as_str()));
                done(true)
            }
            KvCommand::Lock { .. } | KvCommand::Unlock { .. } => {
                panic!("locks have a model of their own, in state_sessions.rs")
            }
        }
    }

    fn set(&mut self, at: u64, key: &str, value: &Bytes, flags: u64) {
        let old = self.entries.get(key);
        if old.is_some_and(|old| old.value == *value && old.flags == flags) {
            return;
        }
        let entry = KvEntry {
            key: key.to_owned(),
            value: value.clone(),
            flags,
            lock_index: 0,
            session: None,
            create_index: old.map_or(at, |old| old.create_index),
            modify_index: at,
        };
        self.entries.insert(key.to_owned(), entry);
    }

    fn rows(&self, query: &Query) -> Rows {
        let below = |prefix: &str| {
            let prefix = prefix.to_owned();
            self.entries.values().filter(move |entry| entry.key.starts_with(&prefix)).cloned()
        };
        match query {
            Query::KvGet { key } => {
                Rows::Entries(self.entries.get(key).cloned().into_iter().collect())
            }
            Query::KvList { prefix } => Rows::Entries(below(prefix).collect()),
            Query::KvKeys { prefix, separator } => {
                let cut = |key: String| match key[prefix.len()..].find(separator.as_str()) {
                    Some(at) if !separator.is_empty() => {
                        key[..prefix.len() + at + separator.len()].to_owned()
                    }
                    _ => key,
                };
                let mut names: Vec<String> = below(prefix).map(|entry| cut(entry.key)).collect();
                names.dedup();
                Rows::Keys(names)
            }
            other => panic!("{other:?} is not about keys"),
        }
    }
}

fn key() -> impl Strategy<Value = String> + Clone {
    // Few and nested, so that prefixes, trees and separators meet.
    prop::sample::select(vec!["a", "a/", "a/b", "a/b/c", "a/bc", "ab", "b", "b/a", "é/a"])
        .prop_map(str::to_owned)
}

fn prefix() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "a", "a/", "a/b", "a/b/", "b", "zz", "é"]).prop_map(str::to_owned)
}

/// Commands name indexes relative to "now", so that comparisons often match.
fn command() -> impl Strategy<Value = (KvCommand, u64)> {
    let value = prop::sample::select(vec!["", "1", "2"]).prop_map(Bytes::from);
    let write = (key(), value, 0u64..2);
    let kinds = prop_oneof![
        4 => write.clone().prop_map(|(key, value, flags)| KvCommand::Set { key, value, flags }),
        3 => write.prop_map(|(key, value, flags)| KvCommand::Cas { key, value, flags, index: 0 }),
        2 => key().prop_map(|key| KvCommand::Delete { key }),
        2 => key().prop_map(|key| KvCommand::DeleteCas { key, index: 0 }),
        1 => prefix().prop_map(|prefix| KvCommand::DeleteTree { prefix }),
    ];
    (kinds, 0u64..4)
}

/// Gives a comparison the index that its key has, none, or a wrong one.
fn aim(command: KvCommand, choice: u64, model: &Model) -> KvCommand {
    let aimed = |key: &String| {
        let current = model.entries.get(key).map_or(0, |entry| entry.modify_index);
        match choice {
            0 => 0,
            1 => current + 1,
            _ => current,
        }
    };
    match command {
        KvCommand::Cas { key, value, flags, .. } => {
            KvCommand::Cas { index: aimed(&key), key, value, flags }
        }
        KvCommand::DeleteCas { key, .. } => KvCommand::DeleteCas { index: aimed(&key), key },
        other => other,
    }
}

fn queries() -> Vec<Query> {
    let keys = ["a", "a/", "a/b", "a/b/c", "a/bc", "ab", "b", "b/a", "é/a", "never"];
    let prefixes = ["", "a", "a/", "a/b", "a/b/", "b", "zz", "é"];
    let gets = keys.into_iter().map(|key| Query::KvGet { key: key.to_owned() });
    let lists = prefixes.into_iter().flat_map(|prefix| {
        let keys = |separator: &str| Query::KvKeys {
            prefix: prefix.to_owned(),
            separator: separator.to_owned(),
        };
        [Query::KvList { prefix: prefix.to_owned() }, keys(""), keys("/"), keys("b/")]
    });
    gets.chain(lists).collect()
}

/// Whether the index of this query stands for its own rows, not for the whole table.
fn is_precise(query: &Query, rows: &Rows) -> bool {
    let has_rows = match rows {
        Rows::Entries(rows) => !rows.is_empty(),
        Rows::Keys(rows) => !rows.is_empty(),
        _ => false,
    };
    let of_everything = matches!(query,
        Query::KvList { prefix } | Query::KvKeys { prefix, .. } if prefix.is_empty());
    has_rows && !of_everything
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn agrees_with_the_model_and_loses_no_wake_up(
        commands in prop::collection::vec(command(), 1..40),
    ) {
        let mut store = StateStore::new();
        let mut model = Model::default();
        for (step, (command, choice)) in commands.into_iter().enumerate() {
            let at = 3 * (step as u64 + 1); // Indexes of other entries lie between.
            let command = aim(command, choice, &model);
            let before: Vec<_> = queries().iter().map(|query| store.query(query)).collect();
            let snapshot = store.clone();
            let expected = model.apply(at, &command);
            let (result, changes) =
                store.apply(LogIndex(at), &Command::Kv(command.clone()), &Faults::none());
            prop_assert_eq!(result, expected, "{:?}", command);
            store.check_invariants();
            for (query, old) in queries().iter().zip(&before) {
                prop_assert_eq!(&snapshot.query(query), old, "a snapshot moved");
                let new = store.query(query);
                prop_assert_eq!(&new.rows, &model.rows(query), "{:?} after {:?}", query, command);
                prop_assert!(new.index >= old.index && new.index <= at, "{:?}", query);
                let touched = changes.iter().any(|change| query.is_touched_by(change));
                if new.rows != old.rows {
                    prop_assert!(touched, "{:?} sleeps through {:?}", query, command);
                    prop_assert_eq!(new.index, at, "{:?} after {:?}", query, command);
                }
                if touched {
                    prop_assert_eq!(new.index, at, "{:?} woken for nothing", query);
                } else if is_precise(query, &old.rows) {
                    prop_assert_eq!(new.index, old.index, "{:?} moved by {:?}", query, command);
                }
            }
        }
    }
}

fn set(key: &str, value: &str) -> Command {
    let (key, value) = (key.to_owned(), Bytes::copy_from_slice(value.as_bytes()));
    Command::Kv(KvCommand::Set { key, value, flags: 0 })
}

#[test]
fn a_tree_around_older_tombstones_still_raises_the_index() {
    // Where Consul's own index stands still: tombstones below the prefix, then a tree around it goes.
    let mut store = StateStore::new();
    let none = Faults::none();
    for (index, command) in [
        (1, set("a/b/x", "1")),
        (2, set("a/b/y", "1")),
        (3, Command::Kv(KvCommand::Delete { key: "a/b/x".to_owned() })),
    ] {
        store.apply(LogIndex(index), &command, &none);
    }
    let query = Query::KvList { prefix: "a/b".to_owned() };
    assert_eq!(store.query(&query).index, 3);
    for (index, prefix) in [(4, "a"), (6, "")] {
        let tree = Command::Kv(KvCommand::DeleteTree { prefix: prefix.to_owned() });
        let (_, changes) = store.apply(LogIndex(index), &tree, &none);
        assert_eq!(changes, [Change::Prefix(prefix.to_owned())]);
        assert_eq!(store.query(&query).index, index);
        store.apply(LogIndex(index + 1), &set("a/b/z", "1"), &none);
    }
}

#[test]
#[should_panic(expected = "invariant broken: apply 1 after 1")]
fn an_entry_takes_effect_once() {
    let mut store = StateStore::new();
    store.apply(LogIndex(1), &set("a", "1"), &Faults::none());
    store.apply(LogIndex(1), &set("a", "1"), &Faults::none());
}

#[test]
fn an_empty_key_is_an_error_value() {
    let mut store = StateStore::new();
    let (result, changes) = store.apply(LogIndex(1), &set("", "1"), &Faults::none());
    assert_eq!(result, CommandResult::Error("Must provide key".to_owned()));
    assert!(changes.is_empty());
}

#[cfg(feature = "buggify")]
#[test]
fn the_planted_cas_bug_writes_whatever_the_index() {
    let mut store = StateStore::new();
    let faults = Faults::armed(Some("cas-ignores-index"), None);
    let cas = Command::Kv(KvCommand::Cas {
        key: "a".to_owned(),
        value: Bytes::from_static(b"1"),
        flags: 0,
        index: 99,
    });
    assert_eq!(store.apply(LogIndex(1), &cas, &faults).0, CommandResult::Flag(true));
    assert_eq!(
        StateStore::new().apply(LogIndex(1), &cas, &Faults::none()).0,
        CommandResult::Flag(false)
    );
}
