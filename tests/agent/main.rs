//! The agent, tested from outside.

mod agent_bench;
mod agent_golden;
mod agent_random;
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
mod real_abuse;
mod real_cluster;
mod real_process;
mod real_refusals;
mod real_single;
mod state_golden;
mod state_model;
mod wire_codecs;
mod wire_vectors;
