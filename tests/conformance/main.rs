//! How Consul 1.9.8 answers: recorded sessions, asked of this agent.
//!
//! ```text
//! tests/data/conformance/recorded/*.json      rules.json      known_differences.txt
//!               │ cases                          │ rules            │ known
//!   harness ─► runner ─► steps ─► agent, http, targets ─► normalise, shape, streams ─► compare
//! ```
//!
//! Each case starts a fresh agent (the binary of this build), does what a client once did to Consul, and
//! compares every answer: status, the headers that count, body, the order of raft indexes, when a
//! blocking query woke. What differs in each run (ports, ids, times) is normalised by rules that are
//! data. Groups are tests: `cargo test -p proconsul --test conformance kv-cas`; one case is
//! `kv-cas/create`; `--test-threads=1` runs one agent at a time.
//!
//! It does not judge by time, except where a step has wide bounds, and it asks one server only: what
//! servers do together is tested elsewhere.

/// Functions by the names of the tests that they are.
macro_rules! checks {
    ($($name:ident),* $(,)?) => { &[$((concat!("runner::", stringify!($name)), $name as fn())),*] };
}

mod agent;
mod cases;
mod checks;
mod compare;
mod dns;
mod dns_shape;
mod harness;
mod http;
mod known;
mod normalise;
mod parts;
mod processes;
mod recursor;
mod rules;
mod runner;
mod shape;
mod steps;
mod streams;
mod targets;
mod tree;
mod variables;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = harness::Arguments::read(std::env::args().skip(1));
    match harness::run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        // The code of libtest for failed tests.
        Ok(false) => ExitCode::from(101),
        Err(why) => {
            println!("test conformance ... FAILED\n\n{why}\n");
            println!(
                "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out"
            );
            ExitCode::from(101)
        }
    }
}
