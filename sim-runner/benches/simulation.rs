//! How fast simulating is: wall time of the virtual minute `[time].run`, boot and settling left out.
//!
//! `sim-runner bench` measures the same with one process for each execution, as users have it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use sim_runner::cluster::Progress;
use sim_runner::scenario::model::Seed;
use sim_runner::scenario::{load, lower};
use sim_runner::simulation;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(5))
        .configure_from_args();
    let mut group = criterion.benchmark_group("virtual seconds");
    for name in ["fast/idle.toml", "leader_loss.toml"] {
        let mut seed = 0;
        group.throughput(Throughput::Elements(60));
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter_custom(|runs| {
                let first = seed;
                seed += runs;
                (first..seed).map(|seed| execute(name, seed)).sum()
            });
        });
    }
    group.finish();
    criterion.final_summary();
}

/// One execution: the wall time of its virtual minute.
fn execute(name: &str, seed: u64) -> Duration {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios").join(name);
    let source = load(&file, &[]).expect("a scenario of this repository");
    let seed = Seed::parse(&seed.to_string()).expect("a number is a seed");
    let plan = lower(&source, &seed).expect("it can be lowered");
    let progress = Arc::new(Progress::default());
    simulation::run(plan, None, &progress).expect("the simulation ends").run_wall
}
