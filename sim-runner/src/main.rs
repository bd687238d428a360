//! The `sim-runner` command.

fn main() {}
