//! Writing a snapshot, a piece at a time.

use super::{
    ALL_KEYS_ROW, AUTOPILOT, COORDINATE_BATCH_UPDATE, INDEX, KVS, PREPARED_QUERY, REGISTER,
    SESSION, TOMBSTONE, TREE_FLAG,
};
use crate::state::{Grave, KvEntry, Node, StateStore};
use crate::wire::catalog::Registration;
use crate::wire::msgpack::Writer;
use crate::wire::{autopilot, coordinate, kv, prepared_query, session};

/// No piece is longer, and only the last one is shorter.
const PIECE_BYTES: usize = 64 << 10;

/// The snapshot of this store, in pieces of 64 KiB.
#[must_use]
pub fn encode(store: StateStore) -> Encoder {
    Encoder { store, stage: Stage::Header, last: None, buffer: Vec::new(), given: 0 }
}

/// What is written next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Header,
    Nodes,
    Coordinates,
    Sessions,
    Entries,
    Tombstones(Grave),
    PreparedQueries,
    Autopilot,
    Indexes,
    Done,
}

/// An iterator over the pieces of a snapshot.
#[derive(Debug)]
pub struct Encoder {
    store: StateStore,
    stage: Stage,
    /// The name of the last row of this stage.
    last: Option<String>,
    /// What is encoded.
    buffer: Vec<u8>,
    /// So much of it has been given out.
    given: usize,
}

impl Iterator for Encoder {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        while self.buffer.len() - self.given < PIECE_BYTES && self.stage != Stage::Done {
            self.fill();
        }
        let rest = &self.buffer[self.given..];
        let piece = rest[..rest.len().min(PIECE_BYTES)].to_vec();
        self.given += piece.len();
        (!piece.is_empty()).then_some(piece)
    }
}

impl Encoder {
    /// Writes rows of the current stage until there is a piece; at its end, goes to the next one.
    fn fill(&mut self) {
        // What has been given out goes once a piece, so that a large value is not moved for each.
        self.buffer.drain(..std::mem::take(&mut self.given));
        let Self { store, stage, last, buffer, .. } = self;
        let from = last.take();
        match *stage {
            Stage::Header => {
                let mut writer = Writer::new(buffer);
                writer.map(1);
                writer.key("LastIndex").uint(store.applied().0);
            }
            Stage::Nodes => {
                for (name, node) in store.nodes_after(from.as_deref()) {
                    write_node(store, name, node, buffer);
                    if buffer.len() >= PIECE_BYTES {
                        *last = Some(name.to_owned());
                        return;
                    }
                }
            }
            // A fifth of a kilobyte a node: they need no pieces.
            Stage::Coordinates => {
                for row in store.coordinates() {
                    buffer.push(COORDINATE_BATCH_UPDATE);
                    coordinate::write_batch(std::slice::from_ref(row), &mut Writer::new(buffer));
                }
            }
            Stage::Sessions => {
                for row in store.sessions_after(from.as_deref()) {
                    buffer.push(SESSION);
                    session::write_session(row, &mut Writer::new(buffer));
                    if buffer.len() >= PIECE_BYTES {
                        *last = Some(row.id.to_lowercase());
                        return;
                    }
                }
            }
            Stage::Entries => {
                for entry in store.entries_after(from.as_deref()) {
                    write_entry(KVS, entry, buffer);
                    if buffer.len() >= PIECE_BYTES {
                        *last = Some(entry.key.clone());
                        return;
                    }
                }
            }
            Stage::Tombstones(grave) => {
                // The tree of all keys has a row of its own, among the indexes.
                let from = from.as_deref().or((grave == Grave::Tree).then_some(""));
                for (name, index) in store.tombstones_after(grave, from) {
                    write_entry(TOMBSTONE, &fake_entry(grave, name, index), buffer);
                    if buffer.len() >= PIECE_BYTES {
                        *last = Some(name.to_owned());
                        return;
                    }
                }
            }
            Stage::PreparedQueries => {
                for row in store.prepared_queries_after(from.as_deref()) {
                    buffer.push(PREPARED_QUERY);
                    prepared_query::write_query(row, &mut Writer::new(buffer));
                    if buffer.len() >= PIECE_BYTES {
                        *last = Some(row.id.to_lowercase());
                        return;
                    }
                }
            }
            Stage::Autopilot => {
                if let Some(row) = store.autopilot() {
                    buffer.push(AUTOPILOT);
                    autopilot::write_configuration(row, &mut Writer::new(buffer));
                }
            }
            Stage::Indexes => write_indexes(store, buffer),
            Stage::Done => {}
        }
        *stage = stage.next();
    }
}

impl Stage {
    fn next(self) -> Stage {
        match self {
            Stage::Header => Stage::Nodes,
            Stage::Nodes => Stage::Coordinates,
            Stage::Coordinates => Stage::Sessions,
            Stage::Sessions => Stage::Entries,
            Stage::Entries => Stage::Tombstones(Grave::Key),
            Stage::Tombstones(Grave::Key) => Stage::Tombstones(Grave::Tree),
            Stage::Tombstones(Grave::Tree) => Stage::PreparedQueries,
            Stage::PreparedQueries => Stage::Autopilot,
            Stage::Autopilot => Stage::Indexes,
            Stage::Indexes | Stage::Done => Stage::Done,
        }
    }
}

/// A node, then each instance and each check on it with the node's fields again, as Consul does.
fn write_node(store: &StateStore, name: &str, node: &Node, out: &mut Vec<u8>) {
    let mut record = |service, check| {
        out.push(REGISTER);
        let row = Registration { node, service, check, checks: &[], skip_node_update: false };
        row.write("", &mut Writer::new(out));
    };
    record(None, None);
    store.services_on(name).for_each(|service| record(Some(service), None));
    store.checks_on(name).for_each(|check| record(None, Some(check)));
}

fn write_entry(kind: u8, entry: &KvEntry, out: &mut Vec<u8>) {
    out.push(kind);
    kv::write_entry(entry, &mut Writer::new(out));
}

/// A tombstone in the form of a key, for the sake of Consul before 0.9.
fn fake_entry(grave: Grave, name: &str, index: u64) -> KvEntry {
    KvEntry {
        key: name.to_owned(),
        value: bytes::Bytes::new(),
        flags: if grave == Grave::Tree { TREE_FLAG } else { 0 },
        lock_index: 0,
        session: None,
        create_index: 0,
        modify_index: index,
    }
}

fn write_indexes(store: &StateStore, out: &mut Vec<u8>) {
    let all_keys = store.tombstones_after(Grave::Tree, None).find(|(name, _)| name.is_empty());
    let rows = [
        ("kvs", store.kv_index()),
        (ALL_KEYS_ROW, all_keys.map_or(0, |(_, index)| index)),
        ("tombstones", store.tombstone_index()),
    ];
    let rows = rows.into_iter().filter(|(_, index)| *index > 0);
    for (name, index) in rows.chain(store.index_rows()) {
        out.push(INDEX);
        let mut writer = Writer::new(out);
        writer.map(2);
        writer.key("Key").str(name);
        writer.key("Value").uint(index);
    }
}
