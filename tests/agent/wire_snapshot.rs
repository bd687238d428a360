//! Snapshots of the store: what comes back equals what went in, and Consul's own are understood.

use bytes::Bytes;
use proconsul::base::{Faults, LogIndex};
use proconsul::state::{Command, Grave, KvCommand, KvEntry, Query, Rebuild, Rows, StateStore};
use proconsul::wire::kv;
use proconsul::wire::msgpack;
use proconsul::wire::snapshot::{KindCount, Reader, SnapshotError, encode, inspect};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::wire_vectors::{hex, vectors};

/// The snapshot that a server of Consul 1.8.7 sent.
pub fn captured() -> Vec<u8> {
    let vectors = vectors();
    let found = vectors.iter().find(|vector| vector["id"] == "consul187b-002");
    hex(found.expect("the vector is there")["snapshot_bytes_hex"].as_str().expect("its bytes"))
}

/// The bytes of a store's snapshot.
pub fn whole(store: &StateStore) -> Vec<u8> {
    encode(store.clone()).flatten().collect()
}

/// The store of a snapshot.
pub fn restored(bytes: &[u8]) -> Result<StateStore, SnapshotError> {
    let mut reader = Reader::new();
    reader.push(bytes)?;
    reader.finish()
}

/// The header, and the records that the store has a place for.
fn known_part(snapshot: &[u8]) -> Vec<u8> {
    let mut reader = msgpack::Reader::new(snapshot);
    let mut kept = reader.value().expect("a header").to_vec();
    while reader.finish().is_err() {
        let kind = reader.byte().expect("a kind");
        let body = reader.value().expect("a body");
        let is_kv_index = kind == 16 && body.windows(4).any(|it| it == b"\xa3kvs");
        if kind == 2 || kind == 5 || is_kv_index {
            kept.push(kind);
            kept.extend(body);
        }
    }
    kept
}

fn change() -> impl Strategy<Value = KvCommand> {
    let key = || "[ab/]{1,4}";
    let value = prop_oneof![
        9 => vec(any::<u8>(), 0..20),
        1 => (0..200_000_usize).prop_map(|length| vec![7; length]),
    ];
    let value = value.prop_map(Bytes::from);
    prop_oneof![
        8 => (key(), value, any::<u64>()).prop_map(|(key, value, flags)| {
            KvCommand::Set { key, value, flags }
        }),
        2 => key().prop_map(|key| KvCommand::Delete { key }),
        1 => "[ab/]{0,3}".prop_map(|prefix| KvCommand::DeleteTree { prefix }),
    ]
}

fn store_after(changes: &[KvCommand]) -> StateStore {
    let mut store = StateStore::new();
    for (at, change) in changes.iter().enumerate() {
        let index = LogIndex(3 * at as u64 + 2);
        store.apply(index, &Command::Kv(change.clone()), &Faults::none());
    }
    store
}

proptest! {
    #[test]
    fn a_store_comes_back_equal(changes in vec(change(), 0..60), step in 1..100_000_usize) {
        let store = store_after(&changes);
        let pieces: Vec<Vec<u8>> = encode(store.clone()).collect();
        let (last, full) = pieces.split_last().expect("there is a header");
        prop_assert!(full.iter().all(|piece| piece.len() == 64 << 10) && last.len() <= 64 << 10);
        let bytes = pieces.concat();
        let mut reader = Reader::new();
        for piece in bytes.chunks(step) {
            reader.push(piece)?;
        }
        let back = reader.finish()?;
        prop_assert_eq!(&back, &store);
        prop_assert_eq!(whole(&back), bytes);
    }

    #[test]
    fn a_snapshot_cut_short_is_refused(changes in vec(change(), 1..20), cut in any::<prop::sample::Index>()) {
        let bytes = whole(&store_after(&changes));
        let cut = cut.index(bytes.len());
        match restored(&bytes[..cut]) {
            Err(SnapshotError::Decode(error)) => {
                prop_assert_eq!((error.fault, error.offset), (proconsul::wire::Fault::Incomplete, cut));
            }
            // Between two records nothing shows: the size in the meta data does.
            Ok(store) => prop_assert!(store.applied() == store_after(&changes).applied()),
            Err(SnapshotError::Store(_)) => {}
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}

#[test]
fn a_snapshot_is_of_the_moment_it_was_taken() {
    let set =
        |key: String| Command::Kv(KvCommand::Set { key, value: vec![1; 9000].into(), flags: 0 });
    let mut store = StateStore::new();
    for index in 1..=100 {
        store.apply(LogIndex(index), &set(format!("key/{index}")), &Faults::none());
    }
    let taken = store.clone();
    let mut pieces = encode(store.clone());
    let mut bytes = pieces.next().expect("a first piece");
    let everything = Command::Kv(KvCommand::DeleteTree { prefix: String::new() });
    store.apply(LogIndex(101), &everything, &Faults::none());
    bytes.extend(pieces.flatten());
    assert_eq!(restored(&bytes), Ok(taken));
}

#[test]
fn the_records_of_a_snapshot_of_consul_are_known_and_counted() {
    let bytes = captured();
    let census = inspect(&bytes).expect("a snapshot");
    let counted: Vec<(String, u64)> =
        census.kinds.iter().map(|kind| (kind.name(), kind.count)).collect();
    let expected = [
        ("Register", 6),
        ("KVS", 283),
        ("Autopilot", 1),
        ("Index", 7),
        ("ChunkingState", 1),
        ("FederationState", 1),
    ];
    assert_eq!(counted, expected.map(|(name, count)| (name.to_owned(), count)));
    assert_eq!((census.last_index, census.bytes), (293, 26_201));
    assert_eq!(census.kinds.iter().map(|kind| kind.bytes).sum::<u64>(), 26_201);
}

#[test]
fn restoring_what_the_store_cannot_hold_is_refused_by_kind_and_count() {
    let error = restored(&captured()).expect_err("there is more in it");
    assert_eq!(
        error.to_string(),
        "restoring would lose 1 Index, 1 FederationState records, which this version does not \
         store; restore the snapshot where they are known"
    );
}

#[test]
fn the_keys_of_a_snapshot_of_consul_come_back_byte_for_byte() {
    let bytes = known_part(&captured());
    let store = restored(&bytes).expect("only keys and their index");
    assert_eq!((store.applied(), store.kv_index()), (LogIndex(293), 293));
    match store.query(&Query::KvList { prefix: "pre/".to_owned() }).rows {
        Rows::Entries(entries) => assert_eq!(entries[0].value, Bytes::from("v1")),
        other => panic!("{other:?}"),
    }
    assert_eq!(store.entries_after(None).count(), 283);
    assert_eq!(whole(&store), bytes);
}

/// Writes the body of a record.
type Body<'a> = &'a dyn Fn(&mut msgpack::Writer<'_>);

/// A snapshot of these records.
fn made(last_index: u64, records: &[(u8, Body<'_>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = msgpack::Writer::new(&mut out);
    writer.map(1);
    writer.key("LastIndex").uint(last_index);
    for (kind, write) in records {
        out.push(*kind);
        write(&mut msgpack::Writer::new(&mut out));
    }
    out
}

fn row(key: &str, create_index: u64, modify_index: u64) -> KvEntry {
    KvEntry {
        key: key.to_owned(),
        value: Bytes::new(),
        flags: 0,
        lock_index: 0,
        session: None,
        create_index,
        modify_index,
    }
}

#[test]
fn a_tombstone_of_consul_is_one_of_a_key() {
    let stone = |writer: &mut msgpack::Writer<'_>| kv::write_entry(&row("a/", 0, 7), writer);
    let store = restored(&made(9, &[(5, &stone)])).expect("a tombstone");
    let mut expected = Rebuild::default();
    expected.tombstone(Grave::Key, "a/", 7).expect("a tombstone");
    assert_eq!(store, expected.finish(LogIndex(9)).expect("a store"));
    assert_eq!(store.query(&Query::KvList { prefix: "a/".to_owned() }).index, 7);
}

#[test]
fn records_that_no_store_can_hold_are_refused_with_their_place() {
    let key = |key: &'static str, create, modify| {
        move |writer: &mut msgpack::Writer<'_>| kv::write_entry(&row(key, create, modify), writer)
    };
    let refused = |bytes: &[u8]| restored(bytes).expect_err("refused").to_string();
    let (a, empty, backward) = (key("a", 3, 4), key("", 3, 4), key("b", 5, 4));
    assert_eq!(
        refused(&made(9, &[(2, &a), (2, &a)])),
        "the snapshot contradicts itself: key \"a\" is there twice (at byte 81)"
    );
    assert!(refused(&made(9, &[(2, &empty)])).contains("a key is empty (at byte 13)"));
    assert!(refused(&made(9, &[(5, &empty)])).contains("a key is empty (at byte 13)"));
    assert!(refused(&made(9, &[(2, &backward)])).contains("\"b\" is of index 5 and was last"));
    assert!(refused(&made(3, &[(2, &a)])).contains("rows of index 4, but the last entry is 3"));
    assert!(refused(&made(9, &[(44, &a)])).contains("unrecognized msg type 44"));
    assert!(refused(&[]).contains("the bytes end inside a value (at byte 0)"));
    // Found by fuzzing: such a tombstone would not have come back from the next snapshot.
    let never = key("a", 0, 0);
    assert!(refused(&made(9, &[(5, &never)])).contains("the tombstone of \"a\" is of index 0"));
    let bad = |writer: &mut msgpack::Writer<'_>| writer.bool(true);
    assert!(refused(&made(9, &[(2, &bad)])).contains("expected a map, found type byte 0xc3"));
    let tokens = made(9, &[(4, &bad), (4, &bad)]);
    assert_eq!(
        restored(&tokens),
        Err(SnapshotError::Lost(vec![KindCount { kind: 4, count: 2, bytes: 4 }]))
    );
}

#[test]
fn chunks_of_commands_are_lost_only_where_there_are_any() {
    let empty = |writer: &mut msgpack::Writer<'_>| {
        writer.map(1);
        writer.key("ChunkMap").map(0);
    };
    let some = |writer: &mut msgpack::Writer<'_>| {
        writer.map(1);
        writer.key("ChunkMap").map(1);
        writer.key("1").nil();
    };
    assert!(restored(&made(1, &[(29, &empty)])).is_ok());
    assert!(matches!(restored(&made(1, &[(29, &some)])), Err(SnapshotError::Lost(_))));
}
