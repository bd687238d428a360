//! The `proconsul` command.

fn main() {}
