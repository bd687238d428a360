//! The agent, tested from outside.

mod wire_vectors;
