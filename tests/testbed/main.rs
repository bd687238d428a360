//! The testbed, tested from outside.

mod oracle_conditions;
mod oracle_expectations;
mod oracle_raft;
mod oracle_story;
mod oracle_trace;
mod oracle_users;
