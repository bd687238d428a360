//! The agent, tested from outside.
