//! The agent, tested from outside.

mod config_files;
mod http_bad_input;
mod http_cli;
mod http_conformance;
mod http_pipe;
mod http_store;
mod persist_disk;
mod persist_log;
mod persist_model;
mod persist_recovery;
mod raft_cluster;
mod raft_golden;
mod raft_judge;
mod raft_random;
mod state_golden;
mod state_model;
mod tidy;
mod tidy_source;
mod wire_codecs;
mod wire_vectors;
