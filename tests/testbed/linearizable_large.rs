//! The checker on histories of the size and shape of real runs, and on metamorphic relations.

use proconsul::base::{Prng, Ratio};
use sim_runner::checker::linearizable::{Budget, Engine, Evidence, LinearizableReport, check};
use sim_runner::history::operation::{Call, Mode, Operation, Outcome, Output, Seen};
use sim_runner::history::{History, Recorder, file};
use sim_runner::property::Verdict;

/// A run of users against a store with one copy.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub users: usize,
    pub keys: u64,
    pub operations: usize,
    /// Per change: no answer arrives; it has its effect late, soon or never.
    pub unknown: Ratio,
    /// Distinct values per key; 0: every value is written once.
    pub values: u64,
    pub lists: bool,
}

pub const RUN: Run = Run {
    users: 5,
    keys: 5,
    operations: 1_200,
    unknown: Ratio { numerator: 1, denominator: 20 },
    values: 0,
    lists: true,
};

#[derive(Default)]
struct Store {
    index: u64,
    keys: std::collections::BTreeMap<String, (String, u64)>,
}

impl Store {
    fn apply(&mut self, key: &str, call: &Call) -> Output {
        self.index += 1;
        let version = self.keys.get(key).map_or(0, |(_, index)| *index);
        let seen = |key: &String, (value, index): &(String, u64)| Seen {
            key: key.clone(),
            value: value.clone(),
            modify_index: Some(*index),
        };
        match call {
            Call::Get { .. } => {
                Output::Value(self.keys.get_key_value(key).map(|(key, entry)| seen(key, entry)))
            }
            Call::List { .. } => {
                Output::Values(self.keys.iter().map(|(key, entry)| seen(key, entry)).collect())
            }
            Call::Delete => {
                self.keys.remove(key);
                Output::Done
            }
            Call::CasIndex { index, .. } if *index != version => Output::Swapped(false),
            Call::Put { value } | Call::CasIndex { value, .. } => {
                if self.keys.get(key).is_none_or(|(old, _)| old != value) {
                    self.keys.insert(key.to_owned(), (value.clone(), self.index));
                }
                match call {
                    Call::Put { .. } => Output::Done,
                    _ => Output::Swapped(true),
                }
            }
            _ => Output::Done,
        }
    }
}

/// What a user has open: its operation, when it takes effect, when it is answered.
struct Open {
    id: u64,
    effect: Option<i64>,
    answer: i64,
    known: bool,
    output: Option<Output>,
}

/// The history of a run, linearizable by construction.
pub fn run(seed: u64, shape: Run) -> History {
    let mut prng = Prng::new(seed);
    let mut recorder = Recorder::new();
    let mut store = Store::default();
    let mut open: Vec<Option<Open>> = (0..shape.users).map(|_| None).collect();
    let mut late: Vec<(i64, u64)> = Vec::new();
    let mut calls: Vec<(String, Call)> = Vec::new();
    let mut now = 0;
    while calls.len() < shape.operations {
        now += 1 + prng.below(2_000) as i64;
        for slot in &mut open {
            let Some(operation) = slot else { continue };
            if operation.effect.is_some_and(|at| at <= now) {
                operation.effect = None;
                let (key, call) = &calls[operation.id as usize];
                operation.output = Some(store.apply(key, call));
            }
            if operation.answer <= now && (operation.effect.is_none() || !operation.known) {
                let outcome = if operation.known { Outcome::Ok } else { Outcome::Unknown };
                late.extend(operation.effect.map(|at| (at, operation.id)));
                recorder.complete(operation.id, now, outcome, operation.output.take(), None, None);
                *slot = None;
            }
        }
        late.retain(|(at, id)| {
            let (key, call) = &calls[*id as usize];
            let due = *at <= now;
            if due {
                store.apply(key, call);
            }
            !due
        });
        let user = prng.below(shape.users as u64) as usize;
        if open[user].is_none() {
            open[user] =
                Some(begin(&mut prng, &mut recorder, &store, shape, user, now, &mut calls));
        }
    }
    recorder.finish()
}

fn begin(
    prng: &mut Prng,
    recorder: &mut Recorder,
    store: &Store,
    shape: Run,
    user: usize,
    now: i64,
    calls: &mut Vec<(String, Call)>,
) -> Open {
    let key = format!("k{}", prng.below(shape.keys));
    let value = match shape.values {
        0 => format!("v{}", calls.len()),
        some => format!("v{}", prng.below(some)),
    };
    let mode = if prng.below(2) == 0 { Mode::Default } else { Mode::Consistent };
    let version = store.keys.get(&key).map_or(0, |(_, index)| *index);
    let (key, call) = match prng.below(20) {
        0..8 => (key, Call::Get { mode }),
        8..15 => (key, Call::Put { value }),
        15 => (key, Call::Delete),
        16 if shape.lists => ("k".to_owned(), Call::List { mode }),
        _ => (key, Call::CasIndex { index: version, value }),
    };
    let id = recorder.invoke(&format!("u{user}"), "n1", &key, call.clone(), now);
    let reads = matches!(call, Call::Get { .. } | Call::List { .. });
    calls.push((key, call));
    let known = reads || !prng.chance(shape.unknown);
    let effect = now + prng.below(3_000) as i64;
    let answer = effect + prng.below(3_000) as i64;
    let effect = match prng.below(4) {
        _ if known => Some(effect),
        0 => None,
        1 => Some(effect + 200_000),
        _ => Some(effect),
    };
    Open { id, effect, answer, known, output: None }
}

pub fn judge(history: &History) -> LinearizableReport {
    check(history, &Evidence::none(), Budget::default())
}

/// With one operation changed.
pub fn changed(history: &History, id: u64, change: impl Fn(&mut Operation)) -> History {
    let mut operations = history.operations().to_vec();
    change(&mut operations[id as usize]);
    History::new(operations)
}

#[test]
fn runs_of_a_single_copy_hold() {
    for seed in 0..20 {
        for unknown in [Ratio::ZERO, RUN.unknown, Ratio::new(1, 3)] {
            for values in [0, 3] {
                let shape = Run { unknown, values, ..RUN };
                let report = judge(&run(seed, shape));
                assert_eq!(
                    report.judgement.verdict,
                    Verdict::Holds,
                    "{seed} {shape:?} {report:#?}"
                );
            }
        }
    }
}

#[test]
fn steps_stay_near_linear() {
    for seed in 0..5 {
        let history = run(seed, Run { operations: 12_000, ..RUN });
        let report = judge(&history);
        assert_eq!(report.judgement.verdict, Verdict::Holds, "{:?}", report.judgement.because);
        // Each operation on a key is a step or two; lists count for every key.
        assert!(report.steps < 12_000 * 20, "{} steps", report.steps);
    }
}

#[test]
fn an_acknowledged_write_that_vanishes_is_found() {
    // A read shows what it showed before some acknowledged write: swap the answers of two reads of
    // one key with such a write between them.
    let mut caught = 0;
    for seed in 0..40 {
        let history = run(seed, RUN);
        let Some((older, newer)) = read_pair(&history, seed) else { continue };
        let answer = |id: u64| history.get(id).and_then(|operation| operation.output.clone());
        let stale = changed(&history, newer, |operation| operation.output = answer(older));
        let report = judge(&stale);
        assert_eq!(report.judgement.verdict, Verdict::Violated, "seed {seed}");
        let violation = &report.judgement.violations[0];
        assert!(violation.operations.len() <= 5, "{violation:#?}");
        assert!(violation.operations.contains(&newer), "the changed read is named: {violation:#?}");
        caught += 1;
    }
    assert!(caught >= 30, "{caught} runs had such a pair");
}

/// Two reads of one key that saw different versions, one after the other.
fn read_pair(history: &History, seed: u64) -> Option<(u64, u64)> {
    let version = |operation: &Operation| match &operation.output {
        Some(Output::Value(Some(seen))) => seen.modify_index,
        _ => None,
    };
    let reads: Vec<&Operation> =
        history.operations().iter().filter(|operation| version(operation).is_some()).collect();
    let skip = (seed as usize * 7) % reads.len().max(1);
    reads.iter().skip(skip).find_map(|older| {
        let newer = reads.iter().find(|newer| {
            newer.key == older.key
                && version(newer) > version(older)
                && newer.called_at > older.returned_at.unwrap_or(i64::MAX)
        })?;
        // Somebody else saw the newer version before the newer read began.
        let witness = reads.iter().any(|other| {
            other.id != newer.id
                && other.key == newer.key
                && version(other) > version(older)
                && other.returned_at < Some(newer.called_at)
        });
        witness.then_some((older.id, newer.id))
    })
}

#[test]
fn verdicts_do_not_depend_on_times_names_or_the_order_of_lines() {
    for seed in 0..6 {
        let valid = run(seed, Run { operations: 300, ..RUN });
        let broken = read_pair(&valid, seed).map(|(older, newer)| {
            let answer = valid.get(older).and_then(|operation| operation.output.clone());
            changed(&valid, newer, |operation| operation.output = answer.clone())
        });
        for history in broken.iter().chain([&valid]) {
            let expected = judge(history);
            let same = |other: Vec<Operation>| {
                let report = judge(&History::new(other));
                assert_eq!(report.judgement.verdict, expected.judgement.verdict);
                let signatures = |report: &LinearizableReport| {
                    let all = report.judgement.violations.iter();
                    all.map(|violation| violation.signature.clone()).collect::<Vec<_>>()
                };
                assert_eq!(signatures(&report), signatures(&expected));
            };
            let mut shifted = history.operations().to_vec();
            for operation in &mut shifted {
                operation.called_at = operation.called_at * 3 - 1_000_000;
                operation.returned_at = operation.returned_at.map(|at| at * 3 - 1_000_000);
                operation.client = 1_000_000 - operation.client;
            }
            same(shifted);
            let mut renamed = history.operations().to_vec();
            for operation in &mut renamed {
                rename(operation);
            }
            same(renamed);
            let text = file::write(history);
            let backwards: Vec<&str> = text.lines().rev().collect();
            let read = file::read("h", backwards.join("\n").as_bytes()).expect("a history");
            same(read.operations().to_vec());
        }
    }
}

fn rename(operation: &mut Operation) {
    operation.key.insert(0, 'z');
    match &mut operation.call {
        Call::Put { value } | Call::CasIndex { value, .. } => value.insert_str(0, "zz"),
        _ => {}
    }
    let rows = match &mut operation.output {
        Some(Output::Value(seen)) => seen.as_mut_slice(),
        Some(Output::Values(rows)) => rows.as_mut_slice(),
        _ => &mut [],
    };
    for seen in rows {
        seen.key.insert(0, 'z');
        seen.value.insert_str(0, "zz");
    }
}

#[test]
fn sound_removals_keep_a_run_valid() {
    let history = run(3, Run { operations: 400, ..RUN });
    let mut prng = Prng::new(1);
    for _ in 0..20 {
        let end = history.operations()[prng.below(400) as usize].called_at;
        let mut fewer = history.operations().to_vec();
        // Everything called later goes, some reads go, some answers become unknown.
        fewer.retain(|operation| {
            let read = matches!(operation.call, Call::Get { .. } | Call::List { .. });
            operation.called_at <= end && !(read && prng.below(3) == 0)
        });
        for operation in &mut fewer {
            if operation.returned_at > Some(end) || prng.below(20) == 0 {
                operation.outcome = Outcome::Unknown;
                operation.output = None;
            }
        }
        let report = judge(&History::new(fewer));
        assert_eq!(report.judgement.verdict, Verdict::Holds, "{report:#?}");
    }
}

#[test]
fn the_same_history_gives_the_same_report() {
    let history = run(5, Run { values: 3, ..RUN });
    let (older, newer) = read_pair(&history, 5).expect("a pair");
    let answer = history.get(older).and_then(|operation| operation.output.clone());
    let broken = changed(&history, newer, |operation| operation.output = answer.clone());
    assert_eq!(judge(&broken), judge(&broken));
    assert_eq!(judge(&history), judge(&history));
}

#[test]
fn a_budget_that_runs_out_says_what_was_hard() {
    let history = run(1, RUN);
    for engine in [Engine::Both, Engine::DepthFirst, Engine::Frontier] {
        let report = check(&history, &Evidence::none(), Budget { steps: 20, engine });
        assert_eq!(report.judgement.verdict, Verdict::Undecided);
        let because = report.judgement.because.expect("a reason");
        assert!(because.contains("key k0 was not decided within 20 steps"), "{because}");
        assert!(because.contains("with unknown outcome"), "{because}");
        assert!(report.steps <= 5 * 2 * 20, "{} steps", report.steps);
    }
}
