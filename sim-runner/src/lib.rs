//! Deterministic simulation of whole Proconsul clusters.

#[cfg(not(madsim))]
compile_error!(
    "sim-runner needs `--cfg madsim`, which `.cargo/config.toml` sets for builds inside this \
     repository. It is missing here: an exported RUSTFLAGS (or a `target.*.rustflags` of your own \
     cargo configuration) overrides the file; unset it, or add `--cfg madsim` to it."
);

pub mod checker;
pub mod cli;
pub mod cluster;
pub mod commands;
pub mod fabric;
pub mod history;
pub mod judging;
pub mod nemesis;
pub mod property;
pub mod replay;
pub mod report;
pub mod run;
pub mod scenario;
pub mod simulation;
pub mod trace;
pub mod watchdog;
pub mod workload;
pub mod zoo;
