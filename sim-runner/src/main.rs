//! The `sim-runner` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(sim_runner::commands::main(std::env::args().collect()))
}
