//! What the replicated store takes and gives.

use bytes::Bytes;

/// A change that the log carries. Encoded by `wire::command` as Consul does: a type byte and msgpack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Key/value (Consul's message type 2).
    Kv(KvCommand),
}

/// A key/value change (spec cluster 10.5).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the field names are those of the API")]
pub enum KvCommand {
    /// Write, whatever is there.
    Set { key: String, value: Bytes, flags: u64 },
    /// Write if the key's `ModifyIndex` is this; 0: if it is absent.
    Cas { key: String, value: Bytes, flags: u64, index: u64 },
    /// Remove; true also when absent.
    Delete { key: String },
    /// Remove if the key's `ModifyIndex` is this; true when absent.
    DeleteCas { key: String, index: u64 },
    /// Remove all keys with this byte prefix.
    DeleteTree { prefix: String },
}

/// What a command did. Errors are values: every server computes the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandResult {
    /// Done, or the comparison failed.
    Flag(bool),
    /// Refused, with Consul's text.
    Error(String),
}

/// A stored key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvEntry {
    /// The key.
    pub key: String,
    /// Its bytes.
    pub value: Bytes,
    /// For the user; not interpreted.
    pub flags: u64,
    /// Times it was locked.
    pub lock_index: u64,
    /// The session that holds it.
    pub session: Option<String>,
    /// Index of the entry that created it.
    pub create_index: u64,
    /// Index of the entry that last changed it.
    pub modify_index: u64,
}

/// A question to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the field names are those of the API")]
pub enum Query {
    /// One key.
    KvGet { key: String },
    /// All keys with a byte prefix.
    KvList { prefix: String },
    /// Their names, cut after the first separator beyond the prefix, duplicates merged.
    KvKeys { prefix: String, separator: String },
}

impl Query {
    /// The key or prefix that is asked for.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Query::KvGet { key } => key,
            Query::KvList { prefix } | Query::KvKeys { prefix, .. } => prefix,
        }
    }
}

/// The answer to a [`Query`], with the index of spec cluster 10.5 (0 when nothing was ever written).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The highest index that can have influenced the result.
    pub index: u64,
    /// The result.
    pub rows: Rows,
}

/// The content of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rows {
    /// To `KvGet` (none or one) and `KvList`, in byte order of the keys.
    Entries(Vec<KvEntry>),
    /// To `KvKeys`, in byte order.
    Keys(Vec<String>),
}
