//! The agent, tested from outside.

mod raft_cluster;
mod raft_golden;
mod raft_judge;
mod raft_random;
