//! Random lives of one agent: every question is answered once, whatever disk, peers and askers do, and
//! even if from some moment on nobody does anything any more.

use proptest::prelude::*;
use proptest::sample::Index;

use bytes::Bytes;
use proconsul::agent::{Input, PeerName, ReadMode, ReadOptions, Request, StateImage};
use proconsul::base::{Duration, Faults, RequestId, Term};
use proconsul::state::{Command, KvCommand, Query, StateStore};

use crate::agent_bench::Bench;
use crate::agent_golden::ending;

#[derive(Clone, Debug)]
enum Move {
    Put(u8),
    Read { key: u8, mode: ReadMode, min_index: u64, wait_s: u64 },
    Operator(Request),
    Forget(Index),
    Forwarded(Index, &'static str),
    Persist,
    Call { reached: bool },
    Newer,
    Settle,
    Lead,
    Follow { leader: &'static str, writes: u8 },
    Advance(u64),
}

fn moves() -> impl Strategy<Value = Move> {
    let mode =
        prop_oneof![Just(ReadMode::Default), Just(ReadMode::Consistent), Just(ReadMode::Stale)];
    let endings = prop_oneof![
        Just("written"),
        Just("no-leader"),
        Just("not-leader"),
        Just("not-sent"),
        Just("broke"),
        Just("lost"),
        Just("not-ready"),
        Just("done"),
        Just("refused"),
    ];
    let operator = prop_oneof![
        any::<bool>().prop_map(|stale| Request::RaftConfiguration { stale }),
        any::<bool>().prop_map(|stale| Request::SnapshotSave { stale }),
        // n3 stays: alone, n1 would lead for ever, and wait for a disk that hangs.
        prop_oneof![Just("n1"), Just("n2"), Just("n9")]
            .prop_map(|id| Request::RemoveRaftPeer(PeerName::Id(id.into()))),
        prop_oneof![Just(None), Just(Some("n2")), Just(Some("n9"))]
            .prop_map(|to| Request::TransferLeadership { to: to.map(Into::into) }),
        (0..3u8).prop_map(|writes| Request::SnapshotRestore(image(writes))),
    ];
    prop_oneof![
        2 => operator.prop_map(Move::Operator),
        4 => (0..3u8).prop_map(Move::Put),
        4 => (0..3u8, mode, 0..12u64, 0..20u64)
            .prop_map(|(key, mode, min_index, wait_s)| Move::Read { key, mode, min_index, wait_s }),
        1 => any::<Index>().prop_map(Move::Forget),
        3 => (any::<Index>(), endings).prop_map(|(call, how)| Move::Forwarded(call, how)),
        3 => Just(Move::Persist),
        4 => any::<bool>().prop_map(|reached| Move::Call { reached }),
        1 => Just(Move::Newer),
        2 => Just(Move::Settle),
        1 => Just(Move::Lead),
        2 => (prop_oneof![Just("n2"), Just("n3")], 0..3u8)
            .prop_map(|(leader, writes)| Move::Follow { leader, writes }),
        3 => (1..3000u64).prop_map(Move::Advance),
    ]
}

fn put(key: u8) -> Command {
    let value = Bytes::from_static(b"v");
    Command::Kv(KvCommand::Set { key: format!("k{key}"), value, flags: 0 })
}

/// A state with so many writes.
fn image(writes: u8) -> StateImage {
    let mut state = StateStore::new();
    for key in 0..writes {
        state.apply(state.applied().next(), &put(key), &Faults::none());
    }
    StateImage(Box::new(state))
}

struct Life {
    bench: Bench,
    /// It has led: a made-up leader's log would contradict its own.
    has_led: bool,
}

impl Life {
    fn play(&mut self, next: &Move) {
        let bench = &mut self.bench;
        let newer = Term(bench.agent.raft().term().0 + 1);
        match next {
            Move::Put(key) => drop(bench.ask(Request::Write(put(*key)))),
            Move::Read { key, mode, min_index, wait_s } => {
                let max_wait = Duration::from_secs(*wait_s);
                let options = ReadOptions { mode: *mode, min_index: *min_index, max_wait };
                let query = Query::KvGet { key: format!("k{key}") };
                bench.ask(Request::Read { query, options });
            }
            Move::Operator(request) => drop(bench.ask(request.clone())),
            Move::Forget(which) => {
                let ids: Vec<RequestId> = bench.asked.keys().copied().collect();
                if !ids.is_empty() {
                    bench.forget(*which.get(&ids));
                }
            }
            Move::Forwarded(which, how) => {
                let calls: Vec<_> = bench.forwards.keys().copied().collect();
                if !calls.is_empty() {
                    bench.forwarded(*which.get(&calls), ending(how).expect("a known ending"));
                }
            }
            Move::Persist => drop(bench.persist()),
            Move::Call { reached } => drop(bench.answer_call(None, *reached)),
            Move::Newer => drop(bench.answer_call(Some(newer), true)),
            Move::Settle => bench.settle(),
            Move::Lead => bench.lead(),
            Move::Follow { leader, writes } => {
                let writes: Vec<Command> = (0..*writes).map(put).collect();
                let writes = if self.has_led { &[] } else { &writes[..] };
                bench.follow(leader, newer, writes);
            }
            Move::Advance(millis) => bench.advance(Duration::from_millis(*millis)),
        }
        self.has_led |= bench.agent.raft().is_leader();
    }
}

fn live(seed: u64, moves: &[Move]) -> Bench {
    let mut life = Life { bench: Bench::new(seed), has_led: false };
    for next in moves {
        life.play(next);
    }
    life.bench
}

fn check_answers(bench: &Bench) -> Result<(), TestCaseError> {
    for (id, answers) in &bench.asked {
        prop_assert_eq!(*answers, 1, "request {} was answered {} times", id, answers);
    }
    prop_assert_eq!(bench.agent.unanswered(), 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stop_answers_everything_once(seed: u64, moves in prop::collection::vec(moves(), 1..80)) {
        let mut bench = live(seed, &moves);
        bench.step(Input::Stop);
        check_answers(&bench)?;
    }

    #[test]
    fn silence_answers_everything_once(seed: u64, moves in prop::collection::vec(moves(), 1..80)) {
        let mut bench = live(seed, &moves);
        let silent_from = bench.now;
        // The driver ends every call: connections break, and nobody is reached any more.
        while !bench.forwards.is_empty() || !bench.calls.is_empty() || bench.agent.unanswered() > 0 {
            let calls: Vec<_> = bench.forwards.keys().copied().collect();
            for call in calls {
                bench.forwarded(call, ending("broke").expect("a known ending"));
            }
            let open = bench.calls.len();
            for _ in 0..open {
                bench.answer_call(None, false);
            }
            bench.advance(Duration::from_millis(500));
            let waited = bench.now.since(silent_from);
            prop_assert!(waited < Duration::from_secs(500), "something waits for ever");
            if bench.agent.unanswered() == 0 {
                break;
            }
        }
        check_answers(&bench)?;
    }
}
