//! The checker against brute force: all orders of small histories of one key.
//!
//! The brute force knows nothing of the checker: it replays operations on a list of versions, tries
//! every order that real time allows, every choice for unknown outcomes, and every way in which a
//! put of the stored value may or may not make a version. Indexes that answers name are then
//! compared: one version has one index, and later versions have greater ones.

use proconsul::base::{Prng, Ratio};
use sim_runner::checker::linearizable::{Budget, Engine, Evidence, LinearizableReport, check};
use sim_runner::history::History;
use sim_runner::history::operation::{Call, Mode, Operation, Outcome, Output, Seen};
use sim_runner::property::Verdict;

/// A version, as far as the answers so far tell.
#[derive(Clone)]
struct Version {
    value: Option<String>,
    index: Option<u64>,
    not: Vec<u64>,
}

/// Whether some order explains all answers.
pub fn brute(operations: &[Operation]) -> bool {
    let relevant: Vec<&Operation> = operations
        .iter()
        .filter(|operation| match operation.call {
            Call::Get { .. } => operation.outcome == Outcome::Ok,
            _ => operation.outcome != Outcome::Fail,
        })
        .collect();
    let start = vec![Version { value: None, index: None, not: Vec::new() }];
    place(&relevant, &mut vec![false; relevant.len()], &start)
}

fn place(operations: &[&Operation], placed: &mut Vec<bool>, versions: &[Version]) -> bool {
    let definite = |operation: &Operation| operation.outcome == Outcome::Ok;
    let rest = || (0..operations.len()).filter(|place| !placed[*place]);
    if rest().all(|place| !definite(operations[place])) && indexes_grow(versions) {
        return true;
    }
    let limit = rest()
        .filter(|place| definite(operations[*place]))
        .filter_map(|place| operations[place].returned_at)
        .min()
        .unwrap_or(i64::MAX);
    let next: Vec<usize> = rest().filter(|place| operations[*place].called_at <= limit).collect();
    for place_of in next {
        placed[place_of] = true;
        let found = run(operations[place_of], versions)
            .into_iter()
            .any(|after| place(operations, placed, &after));
        placed[place_of] = false;
        if found {
            return true;
        }
    }
    false
}

fn indexes_grow(versions: &[Version]) -> bool {
    let known: Vec<u64> = versions.iter().filter_map(|version| version.index).collect();
    known.is_sorted_by(|a, b| a < b)
        && versions.iter().all(|version| version.index.is_none_or(|it| !version.not.contains(&it)))
}

/// The versions after the operation, for each way it can go; none when its answer does not fit.
fn run(operation: &Operation, versions: &[Version]) -> Vec<Vec<Version>> {
    let last = versions.last().expect("the first version is given");
    let refused = operation.output == Some(Output::Swapped(false));
    match &operation.call {
        Call::Get { .. } => {
            let Some(Output::Value(seen)) = &operation.output else { return Vec::new() };
            let value = seen.as_ref().map(|seen| seen.value.clone());
            let index = seen.as_ref().and_then(|seen| seen.modify_index);
            if last.value == value { named(versions, index) } else { Vec::new() }
        }
        Call::Put { value } => write(versions, Some(value), operation.index),
        Call::Delete => write(versions, None, operation.index),
        Call::CasIndex { index: 0, value } => match (last.value.is_none(), refused) {
            (true, false) => write(versions, Some(value), operation.index),
            (false, true) => vec![versions.to_vec()],
            _ => Vec::new(),
        },
        Call::CasIndex { index, .. } if refused => {
            let mut after = versions.to_vec();
            if last.value.is_some() {
                after.last_mut().expect("not empty").not.push(*index);
            }
            vec![after]
        }
        Call::CasIndex { index, value } if last.value.is_some() => named(versions, Some(*index))
            .into_iter()
            .flat_map(|versions| write(&versions, Some(value), operation.index))
            .collect(),
        Call::CasValue { from, to } => match (last.value.as_ref() == Some(from), refused) {
            (true, false) => write(versions, Some(to), operation.index),
            (false, true) => vec![versions.to_vec()],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// The last version turns out to have this index.
fn named(versions: &[Version], index: Option<u64>) -> Vec<Vec<Version>> {
    let mut after = versions.to_vec();
    let last = after.last_mut().expect("not empty");
    match (last.index, index) {
        (_, None) => {}
        (Some(known), Some(index)) if known != index => return Vec::new(),
        (_, Some(index)) => last.index = Some(index),
    }
    vec![after]
}

fn write(versions: &[Version], value: Option<&String>, index: Option<u64>) -> Vec<Vec<Version>> {
    let mut more = versions.to_vec();
    more.push(Version { value: value.cloned(), index, not: Vec::new() });
    let same = versions.last().is_some_and(|last| last.value.as_ref() == value);
    if same && index.is_none() { vec![more, versions.to_vec()] } else { vec![more] }
}

/// What a generated history may contain.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    pub clients: u64,
    pub operations: u64,
    pub values: u64,
    pub unknown: Ratio,
    /// Answers that are changed at random afterwards.
    pub lies: Ratio,
    pub versions: bool,
    pub span: u64,
}

/// A history that a real register could have given, with some answers changed.
pub fn generate(prng: &mut Prng, mix: Mix) -> Vec<Operation> {
    let mut operations = Vec::new();
    let mut free_at = vec![0_i64; mix.clients as usize];
    let mut number: Vec<u32> = (0..mix.clients as u32).collect();
    for count in 0..mix.operations {
        let client = prng.below(mix.clients) as usize;
        let called_at = free_at[client] + prng.below(3) as i64;
        let returned_at = called_at + prng.below(mix.span) as i64;
        free_at[client] = returned_at;
        let mut value = format!("v{}", prng.below(mix.values));
        if mix.values > 4 {
            value = format!("v{count}");
        }
        let call = match prng.below(if mix.versions { 5 } else { 6 }) {
            0 | 1 => Call::Get { mode: Mode::Consistent },
            2 => Call::Put { value },
            3 => Call::Delete,
            4 if mix.versions => Call::CasIndex { index: prng.below(5), value },
            4 => Call::CasValue { from: format!("v{}", prng.below(mix.values.min(3))), to: value },
            _ => Call::Put { value },
        };
        let mut operation = operation(number[client], call, called_at, returned_at);
        if prng.chance(mix.unknown) && !matches!(operation.call, Call::Get { .. }) {
            operation.outcome = Outcome::Unknown;
            number[client] += mix.clients as u32;
        }
        operations.push(operation);
    }
    operations.sort_by_key(|operation| operation.called_at);
    answer(prng, &mut operations, mix);
    History::new(operations).operations().to_vec()
}

pub fn operation(client: u32, call: Call, called_at: i64, returned_at: i64) -> Operation {
    Operation {
        id: 0,
        client,
        user: String::new(),
        server: String::new(),
        key: "k".to_owned(),
        call,
        called_at,
        returned_at: Some(returned_at),
        outcome: Outcome::Ok,
        output: None,
        index: None,
        error: None,
    }
}

/// Runs the operations in the order of random instants within their intervals, and notes the answers.
fn answer(prng: &mut Prng, operations: &mut [Operation], mix: Mix) {
    let mut instants: Vec<(i64, usize)> = operations
        .iter()
        .enumerate()
        .map(|(place, operation)| {
            let end = operation.returned_at.unwrap_or(operation.called_at);
            (operation.called_at + prng.below((end - operation.called_at) as u64 + 1) as i64, place)
        })
        .collect();
    instants.sort_unstable();
    let mut state: Option<(String, u64)> = None;
    let mut log = 0;
    for (_, place) in instants {
        let operation = &mut operations[place];
        let answered = operation.outcome == Outcome::Ok;
        if !answered && prng.below(2) == 0 {
            continue;
        }
        log += 1;
        let swap = match &operation.call {
            Call::CasIndex { index, .. } => {
                Some(*index == state.as_ref().map_or(0, |(_, index)| *index))
            }
            Call::CasValue { from, .. } => {
                Some(state.as_ref().is_some_and(|(value, _)| value == from))
            }
            _ => None,
        };
        let lie = prng.chance(mix.lies);
        let output = match &operation.call {
            Call::Get { .. } => Output::Value(state.clone().map(|(value, index)| Seen {
                key: "k".to_owned(),
                value: if lie { format!("v{}", prng.below(mix.values)) } else { value },
                modify_index: mix.versions.then_some(if lie { prng.below(6) + 1 } else { index }),
            })),
            _ => swap.map_or(Output::Done, |held| Output::Swapped(held != lie)),
        };
        let written = match &operation.call {
            Call::Put { value } => Some(Some(value)),
            Call::CasIndex { value, .. } | Call::CasValue { to: value, .. }
                if swap == Some(true) =>
            {
                Some(Some(value))
            }
            Call::Delete => Some(None),
            _ => None,
        };
        match written {
            Some(Some(value)) if state.as_ref().is_none_or(|(old, _)| old != value) => {
                state = Some((value.clone(), log));
            }
            Some(None) => state = None,
            _ => {}
        }
        operation.output = answered.then_some(output);
    }
}

pub fn judge(operations: &[Operation], engine: Engine) -> LinearizableReport {
    let budget = Budget { engine, ..Budget::default() };
    check(&History::new(operations.to_vec()), &Evidence::none(), budget)
}

fn agrees(mix: Mix, histories: u64, seed: u64) -> (u64, u64) {
    let mut prng = Prng::new(seed);
    let (mut valid, mut invalid) = (0, 0);
    for count in 0..histories {
        let operations = generate(&mut prng, mix);
        let expected = if brute(&operations) { Verdict::Holds } else { Verdict::Violated };
        *(if expected == Verdict::Holds { &mut valid } else { &mut invalid }) += 1;
        for engine in [Engine::Both, Engine::DepthFirst, Engine::Frontier] {
            let report = judge(&operations, engine);
            assert_eq!(
                report.judgement.verdict,
                expected,
                "{engine:?}, history {count} of {mix:?}:\n{}\n{report:#?}",
                sim_runner::history::file::write(&History::new(operations.clone())),
            );
            proofs_hold(&operations, &report);
        }
    }
    (valid, invalid)
}

/// A "yes" comes with an order that replays, a "no" with operations that brute force refutes.
fn proofs_hold(operations: &[Operation], report: &LinearizableReport) {
    for witness in &report.witnesses {
        let ordered: Vec<Operation> = witness
            .order
            .iter()
            .enumerate()
            .map(|(place, id)| {
                // In this order and no other.
                let mut operation = operations[*id as usize].clone();
                (operation.called_at, operation.returned_at) =
                    (place as i64 * 2, Some(place as i64 * 2 + 1));
                operation.outcome = Outcome::Ok;
                operation.output = operation.output.or(match operation.call {
                    Call::CasIndex { .. } | Call::CasValue { .. } => Some(Output::Swapped(true)),
                    _ => Some(Output::Done),
                });
                operation
            })
            .collect();
        assert!(brute(&ordered), "the witness replays: {witness:?}");
        for pair in witness.order.windows(2) {
            let (first, second) = (&operations[pair[0] as usize], &operations[pair[1] as usize]);
            let over = second.outcome == Outcome::Ok && second.returned_at < Some(first.called_at);
            assert!(!over, "the witness keeps real time: {witness:?}");
        }
    }
    for violation in &report.judgement.violations {
        let proof = violation.operations.iter().map(|id| operations[*id as usize].clone());
        let cut = proof.map(|mut operation| {
            if operation.returned_at > Some(violation.at) {
                operation.outcome = Outcome::Unknown;
                operation.output = None;
            }
            operation
        });
        assert!(!brute(&cut.collect::<Vec<_>>()), "the proof proves: {violation:#?}");
    }
}

#[test]
fn agrees_with_all_orders_on_random_small_histories() {
    let base = Mix {
        clients: 3,
        operations: 7,
        values: 3,
        unknown: Ratio::new(1, 6),
        lies: Ratio::new(1, 2),
        versions: false,
        span: 4,
    };
    let mixes = [
        base,
        Mix { values: 2, span: 6, ..base },
        Mix { values: 9, unknown: Ratio::new(1, 3), lies: Ratio::new(1, 5), ..base },
        Mix { versions: true, lies: Ratio::new(1, 3), ..base },
        Mix { versions: true, values: 2, unknown: Ratio::new(1, 3), ..base },
        Mix { versions: true, values: 9, clients: 4, lies: Ratio::new(1, 6), ..base },
        Mix { clients: 4, operations: 6, unknown: Ratio::new(1, 2), span: 9, ..base },
    ];
    let (mut valid, mut invalid) = (0, 0);
    for (seed, mix) in mixes.into_iter().enumerate() {
        let (good, bad) = agrees(mix, 1_600, seed as u64);
        valid += good;
        invalid += bad;
    }
    assert!(invalid * 10 >= (valid + invalid) * 3, "{invalid} of {} are invalid", valid + invalid);
    assert!(valid * 10 >= (valid + invalid) * 3, "{valid} of {} are valid", valid + invalid);
}
