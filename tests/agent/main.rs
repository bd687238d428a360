//! The agent, tested from outside.

mod persist_disk;
mod persist_log;
mod persist_model;
mod persist_recovery;
mod wire_codecs;
mod wire_vectors;
