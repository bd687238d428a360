//! Every decoder against mutated input, on the stable toolchain.
//!
//! ```text
//!   corpus (captured messages, valid encodings) ──► mutator ──► target ──► what it saw
//!        ▲                                                                    │
//!        └─────────── an input that showed something new joins ◄──────────────┘
//! ```
//!
//! A target is a function of bytes that panics when a promise is broken; what it returns names the way
//! the decoder took, which stands in for coverage. `cargo test` runs a few thousand inputs each, always
//! the same ones. For longer:
//!
//! ```text
//!   FUZZ_SECONDS=600 FUZZ_TARGET=raft_request cargo test -p proconsul --test agent fuzz -- --nocapture
//! ```
//!
//! without `FUZZ_TARGET` each target in turn; `FUZZ_SEED` begins elsewhere. A finding is printed in hex
//! and fails the test after the run; it then belongs into the corpus.

mod corpus;
mod mutate;
mod targets;
mod targets_dns;
mod targets_filter;
mod targets_gossip;
mod targets_storage;
mod targets_yamux;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use proconsul::base::Prng;

use mutate::mutated;

/// What a target is.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]) -> String,
    pub corpus: fn() -> Vec<Vec<u8>>,
}

/// Inputs of each target in `cargo test`.
const FEW: u64 = 3_000;
/// An input may grow to this many bytes.
const INPUT_BYTES: usize = 96 << 10;
/// And the corpus to so many inputs.
const CORPUS: usize = 4_096;
/// So many findings end a run.
const FINDINGS: usize = 10;

/// How long a run goes on.
enum Until {
    Inputs(u64),
    Time(Duration),
}

/// What a run found.
struct Ran {
    executions: u64,
    /// Ways that the target took.
    ways: usize,
    findings: Vec<Vec<u8>>,
}

#[expect(clippy::disallowed_methods, reason = "how long to go on is the user's wish")]
fn now() -> Instant {
    Instant::now()
}

fn run(target: &Target, seed: u64, until: &Until) -> Ran {
    let mut random = Prng::new(seed).fork(target.name);
    let mut inputs = (target.corpus)();
    assert!(!inputs.is_empty(), "{} has no corpus", target.name);
    let mut seen = BTreeSet::new();
    let mut ran = Ran { executions: 0, ways: 0, findings: Vec::new() };
    let start = now();
    let mut fresh = inputs.clone().into_iter();
    loop {
        let done = match until {
            Until::Inputs(count) => ran.executions >= *count,
            // The clock costs more than many a decoder.
            Until::Time(span) => ran.executions.is_multiple_of(64) && start.elapsed() >= *span,
        };
        if done || ran.findings.len() >= FINDINGS {
            break;
        }
        let original = fresh.next();
        let is_original = original.is_some();
        let input = original.unwrap_or_else(|| mutated(&inputs, &mut random));
        ran.executions += 1;
        match catch_unwind(AssertUnwindSafe(|| (target.run)(&input))) {
            Ok(way) => {
                if seen.insert(way) && !is_original && inputs.len() < CORPUS {
                    inputs.push(input);
                }
            }
            Err(_) => ran.findings.push(input),
        }
    }
    ran.ways = seen.len();
    ran
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

#[test]
fn every_decoder_keeps_its_promises_on_mutated_input() {
    let seconds = number("FUZZ_SECONDS");
    let only = std::env::var("FUZZ_TARGET").ok();
    let seed = number("FUZZ_SEED").unwrap_or(1);
    let until = seconds.map_or(Until::Inputs(FEW), |it| Until::Time(Duration::from_secs(it)));
    let all = targets::ALL.iter().chain(targets_storage::ALL).chain(targets_yamux::ALL);
    let all = all.chain(targets_gossip::ALL).chain(targets_filter::ALL).chain(targets_dns::ALL);
    let chosen: Vec<&Target> =
        all.filter(|it| only.as_deref().is_none_or(|only| only == it.name)).collect();
    assert!(!chosen.is_empty(), "there is no target {only:?}");
    let mut findings = 0;
    for target in chosen {
        let start = now();
        let ran = run(target, seed, &until);
        println!(
            "{:<14} {:>10} executions in {:>5.1} s, {:>4} ways, {} findings",
            target.name,
            ran.executions,
            start.elapsed().as_secs_f64(),
            ran.ways,
            ran.findings.len()
        );
        for finding in &ran.findings {
            let hex: String = finding.iter().map(|byte| format!("{byte:02x}")).collect();
            println!("  finding: {hex}");
        }
        findings += ran.findings.len();
    }
    assert_eq!(findings, 0, "see the inputs above");
}

#[test]
fn a_broken_promise_is_found() {
    // A decoder that trusts a length: the mutator has to come to it within what `cargo test` runs.
    let trusting = Target {
        name: "trusting",
        run: |bytes| {
            let Some((length, rest)) = bytes.split_first() else { return "empty".to_owned() };
            rest[..usize::from(*length).min(5)].len().to_string()
        },
        corpus: || vec![vec![1, 2, 3]],
    };
    assert!(!run(&trusting, 1, &Until::Inputs(FEW)).findings.is_empty());
}
