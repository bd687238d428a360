//! The agent, tested from outside.

mod persist_disk;
mod persist_log;
mod wire_codecs;
mod wire_vectors;
