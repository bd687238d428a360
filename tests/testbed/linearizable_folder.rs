//! Histories of other systems, with known verdicts, from a folder of the reader's choice; skipped,
//! with a line that says so, where none is named:
//!
//! `HISTORIES_DIR=… cargo test --release -p sim-runner --test testbed linearizable_folder -- --nocapture`
//!
//! The folder holds `*.jsonl` and `verdicts.json`: `{"file": {"verdict": "linearizable" | "not"}}`.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use sim_runner::checker::linearizable::{Budget, Engine, Evidence, check};
use sim_runner::history::file;
use sim_runner::property::Verdict;

#[test]
#[expect(clippy::disallowed_methods, reason = "the time it takes is printed, and judged by nobody")]
fn agrees_with_the_known_verdicts() {
    let Ok(folder) = std::env::var("HISTORIES_DIR") else {
        println!("skipped: HISTORIES_DIR names no folder of histories");
        return;
    };
    let folder = Path::new(&folder);
    let verdicts = std::fs::read_to_string(folder.join("verdicts.json")).expect("verdicts.json");
    let verdicts: Value = serde_json::from_str(&verdicts).expect("JSON");
    let mut wrong = Vec::new();
    for engine in [Engine::Both, Engine::DepthFirst, Engine::Frontier] {
        let mut steps = 0;
        let mut open = 0;
        let mut total = Duration::ZERO;
        for (name, expected) in verdicts.as_object().expect("an object") {
            let bytes = std::fs::read(folder.join(name)).expect("a listed file");
            let history = file::read(name, &bytes).expect("a history");
            let budget = Budget { engine, ..Budget::default() };
            let start = Instant::now();
            let report = check(&history, &Evidence::none(), budget);
            let took = start.elapsed();
            total += took;
            steps += report.steps;
            let verdict = match report.judgement.verdict {
                Verdict::Holds => "linearizable",
                Verdict::Violated => "not",
                _ => {
                    open += 1;
                    println!("{engine:?} {name}: {:?}", report.judgement.because);
                    continue;
                }
            };
            if engine == Engine::Both {
                let violation = report.judgement.violations.first();
                let said = violation.map_or("", |it| &it.summary);
                println!("{name} {verdict} {} steps {took:?} {said}", report.steps);
            }
            if expected["verdict"] != verdict {
                wrong.push(format!("{engine:?} {name}: {verdict}"));
            }
        }
        println!("{engine:?}: {steps} steps, {total:?}, {open} undecided");
    }
    assert_eq!(wrong, Vec::<String>::new());
}
