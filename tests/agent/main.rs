//! The agent, tested from outside.

mod config_files;
mod http_bad_input;
mod http_cli;
mod http_conformance;
mod http_pipe;
mod http_store;
mod state_golden;
mod state_model;
