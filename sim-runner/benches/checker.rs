//! The linearizability checker on synthetic histories that hold: eight clients whose operations
//! overlap, over ten keys. A history that holds is the dear case: the whole of it must be explained.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use proconsul::base::Prng;
use sim_runner::checker::linearizable::{Budget, Evidence, check};
use sim_runner::history::History;
use sim_runner::history::operation::{Call, Mode, Operation, Outcome, Output, Seen};
use sim_runner::property::Verdict;

const CLIENTS: u64 = 8;
const KEYS: u64 = 10;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let mut group = criterion.benchmark_group("linearizable");
    for operations in [1_000, 10_000] {
        let history = history(operations);
        group.throughput(Throughput::Elements(operations));
        group.bench_function(BenchmarkId::from_parameter(operations), |bencher| {
            bencher.iter(|| {
                let report = check(&history, &Evidence::none(), Budget::default());
                assert_eq!(report.judgement.verdict, Verdict::Holds);
            });
        });
    }
    group.finish();
    criterion.final_summary();
}

/// Operation `i` takes effect at `i` µs; it was called and answered up to three µs away, so a client
/// has one open at a time and each overlaps with its neighbours.
fn history(operations: u64) -> History {
    let mut prng = Prng::new(1);
    let mut stored: Vec<Option<Seen>> = vec![None; KEYS as usize];
    let made = (0..operations).map(|number| {
        let key = prng.below(KEYS);
        let name = format!("k{key}");
        let slot = &mut stored[key as usize];
        let (call, output) = if prng.below(2) == 0 {
            (Call::Get { mode: Mode::Consistent }, Output::Value(slot.clone()))
        } else {
            let value = format!("v{number}");
            let modify_index = Some(number + 1);
            *slot = Some(Seen { key: name.clone(), value: value.clone(), modify_index });
            (Call::Put { value }, Output::Done)
        };
        let effect = (number * 1000) as i64;
        let client = number % CLIENTS;
        Operation {
            id: number,
            client: client as u32,
            user: format!("u{client}"),
            server: "n1".to_owned(),
            key: name,
            call,
            called_at: effect - prng.below(3000) as i64,
            returned_at: Some(effect + 1 + prng.below(3000) as i64),
            outcome: Outcome::Ok,
            output: Some(output),
            index: None,
            error: None,
        }
    });
    History::new(made.collect())
}
