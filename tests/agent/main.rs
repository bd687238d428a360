//! The agent, tested from outside.

mod persist_disk;
mod persist_log;
mod persist_model;
mod persist_recovery;
mod raft_cluster;
mod raft_golden;
mod raft_judge;
mod raft_random;
mod wire_codecs;
mod wire_vectors;
