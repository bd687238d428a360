//! The recorder, its digest, both file forms, and the first difference.

use std::path::Path;

use proptest::prelude::*;
use sim_runner::checker::determinism;
use sim_runner::property::Verdict;
use sim_runner::trace::diff::diff;
use sim_runner::trace::event::{
    Change, Ending, EntryRef, Host, Pool, Role, SnapshotRef, SwimState, TraceEvent, What,
};
use sim_runner::trace::file::{from_binary, parse_jsonl, read, to_binary, write_jsonl};
use sim_runner::trace::json::Lines;
use sim_runner::trace::{Recording, Trace};

use crate::oracle_story::{N1, N2, Story, header};

/// One event of every kind, with these numbers and this text.
fn every_kind(a: u64, b: u64, text: &str, host: Host, flag: bool) -> Vec<What> {
    let text = || text.to_owned();
    let entry = EntryRef { index: a, term: b, hash: a ^ b };
    let snapshot = SnapshotRef { index: a, term: b, state: a ^ b };
    let step = a as u32;
    vec![
        What::Started,
        What::Ended { how: Ending::Killed, detail: text() },
        What::Paused,
        What::Resumed,
        What::Recovered {
            term: a,
            vote_term: b,
            vote_for: text(),
            snapshot: Some(snapshot),
            log: vec![entry, entry],
            abstains: true,
        },
        What::Term { term: a },
        What::Voted { term: a, candidate: text() },
        What::VoteTold { term: a, candidate: text() },
        What::Role { role: Role::Candidate, term: b },
        What::Leader { address: text() },
        What::Append { entries: vec![entry] },
        What::Truncate { from: a },
        What::Acked { index: a, term: b },
        What::Commit { index: a },
        What::Apply { index: a, term: b, hash: a },
        What::Wrote { index: a, key: text(), value: b, done: flag },
        What::Configuration { index: a, voters: vec![text(), text()], others: vec![] },
        What::SnapshotBegun { snapshot },
        What::SnapshotTaken { index: a },
        What::SnapshotInstalled { snapshot, operator: flag },
        What::LogHealed,
        What::TransferStarted { to: text() },
        What::ElectionWon { term: a, tally: step },
        What::ElectionFailed { term: a },
        What::HeartbeatTimeout,
        What::StepDown { term: a, why: text() },
        What::VoteRefused { candidate: text(), term: a, why: text() },
        What::AppendRejected { peer: text(), next: a },
        What::Served { mode: text(), key: text(), index: a, applied: b, term: a, leads: flag },
        What::Forwarded { to: text() },
        What::Mark { name: text() },
        What::Log { level: text(), module: text(), text: text() },
        What::Deliver { from: host, tcp: flag, bytes: step, hash: b },
        What::Drop { to: host, tcp: flag, why: text() },
        What::Cut { to: host },
        What::Healed { to: host },
        What::LostUnsynced { path: text(), bytes: a },
        What::Booted,
        What::StepStarted {
            step,
            id: text(),
            verb: text(),
            chaos: flag,
            detail: text(),
            targets: vec![host, N1],
        },
        What::StepFinished { step },
        What::StepUndone { step },
        What::StepSkipped { step },
        What::StepFailed { step, id: text(), message: text() },
        What::Note { text: text() },
        What::SettleBegan,
        What::Settled,
        What::NotSettled { fact: text(), detail: text() },
        What::NotBooted { fact: text(), detail: text() },
        What::Invoke { op: a },
        What::Return { op: a, outcome: text() },
        What::Watchdog { detail: text() },
        What::Clock { drift_ppm: a as i64, offset_ns: b as i64 },
        What::DiskFault { kind: text(), on: flag, detail: text() },
        What::DiskStruck { kind: text(), path: text(), detail: text() },
        What::LinkFault { to: host, kind: text(), on: flag, detail: text() },
        What::Ran { command: text(), exit: step as i32 },
        What::LookupsFail { on: flag },
        What::Swim {
            pool: Pool::Wan,
            about: text(),
            address: text(),
            from: flag.then_some(SwimState::Suspect),
            to: SwimState::Dead,
            incarnation: step,
        },
        What::Refuted { pool: Pool::Lan, by: text(), accused: step, incarnation: step },
        What::Member {
            pool: Pool::Lan,
            about: text(),
            change: Change::Reaped,
            forced: flag,
            ltime: a,
        },
        What::UserEvent { pool: Pool::Lan, name: text(), ltime: b },
    ]
}

/// Small numbers, which mean something, and the largest.
fn wild() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0u64..5, 1 => (u64::MAX - 2)..=u64::MAX]
}

fn recorded(events: &[TraceEvent]) -> Trace {
    let mut trace = Trace::new(header());
    events.iter().for_each(|event| trace.push(event));
    trace
}

fn jsonl(trace: &Trace) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("trace.jsonl");
    write_jsonl(trace, &path).expect("it can be written");
    assert_eq!(read(&path).expect("it can be read").digest(), trace.digest());
    std::fs::read_to_string(&path).expect("it is text")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_event_survives_both_forms(
        a in any::<u64>(), b in any::<u64>(), text in ".{0,12}", host in 0u16..5,
        flag in any::<bool>(), start in -1_000_000_000_000i64..1_000_000_000_000,
    ) {
        let kinds = every_kind(a, b, &text, Host(host), flag);
        let events = kinds.into_iter().zip(start..).map(|(what, at)| TraceEvent {
            at,
            host: Host(host),
            what,
        });
        let events: Vec<_> = events.collect();
        let trace = recorded(&events);
        prop_assert_eq!(&trace.recording().events, &events);
        let binary = from_binary(&to_binary(&trace)).expect("its own form");
        prop_assert_eq!(&binary.events, &events);
        let text = parse_jsonl(&jsonl(&trace), Path::new("trace.jsonl")).expect("its own form");
        prop_assert_eq!(text.events, events);
        prop_assert_eq!(text.header, header());
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(parse_jsonl(&text, Path::new("x")).is_err());
        prop_assert!(from_binary(&bytes).is_err());
        let mut binary = to_binary(&recorded(&Story::led().events));
        for (place, byte) in bytes.iter().enumerate() {
            let place = (place * 7919 + usize::from(*byte)) % binary.len();
            binary[place] ^= byte;
        }
        let _ = from_binary(&binary);
        let header = header();
        let _ = Lines::new(&header).read(&text);
    }

    #[test]
    fn nonsense_is_judged_without_a_panic(
        picks in prop::collection::vec((0usize..45, wild(), wild(), 0u16..5), 1..60),
    ) {
        let mut story = Story::led();
        for (kind, a, b, host) in picks {
            let kinds = every_kind(a, b, "x", Host(host), true);
            story.now += 1;
            story.push(Host(host), kinds[kind].clone());
        }
        story.put("7", (0, 1000));
        let judged = story.outcome().judgements;
        prop_assert_eq!(judged.len(), sim_runner::property::PROPERTIES.len());
    }

    #[test]
    fn one_changed_bit_changes_the_digest(at in any::<usize>(), bit in 0u8..64) {
        let events = Story::led().events;
        let place = at % events.len();
        let digest = recorded(&events).digest();
        prop_assert_eq!(digest.len(), 32);
        let mut later = events.clone();
        later[place].at ^= 1 << bit;
        prop_assert_ne!(recorded(&later).digest(), digest.clone());
        let mut payload = events.clone();
        let hash = 7;
        payload[place].what = What::Deliver { from: N2, tcp: true, bytes: 4, hash };
        let one = recorded(&payload).digest();
        payload[place].what = What::Deliver { from: N2, tcp: true, bytes: 4, hash: hash ^ (1 << bit) };
        prop_assert_ne!(recorded(&payload).digest(), one);
    }
}

#[test]
fn the_digest_does_not_depend_on_when_it_is_asked_for() {
    let events: Vec<_> = (0..200).flat_map(|_| Story::led().events).collect();
    let mut asked = Trace::new(header());
    for event in &events {
        asked.push(event);
        assert_eq!(asked.digest().len(), 32);
    }
    assert!(asked.bytes().len() > 3 * 4096, "several blocks");
    assert_eq!(asked.digest(), recorded(&events).digest());
    assert_eq!(asked.count(), events.len() as u64);
}

#[test]
fn lines_are_for_people() {
    let mut story = Story::new();
    story.events.clear();
    story.now = 12_345_678_901;
    story.role(N1, Role::Leader, 3);
    story.push(N1, What::Deliver { from: N2, tcp: false, bytes: 40, hash: 255 });
    story.now += 1;
    story.push(N2, What::Paused);
    let text = jsonl(&recorded(&story.events));
    let lines: Vec<_> = text.lines().skip(1).collect();
    let expected = [
        r#"{"at":"12.345678901","host":"n1","t":"role","role":"leader","term":3}"#,
        r#"{"at":"12.345678901","host":"n1","t":"deliver","bytes":40,"from":"n2","hash":"00000000000000ff","tcp":false}"#,
        r#"{"at":"12.345678902","host":"n2","t":"paused"}"#,
    ];
    assert_eq!(lines, expected);
}

#[test]
fn errors_name_the_place_and_the_remedy() {
    let good = jsonl(&recorded(&Story::led().events));
    let header = good.lines().next().expect("a header");
    let message = |line: &str| {
        let text = format!(
            "{header}\n{{\"at\":\"1.000000000\",\"host\":\"n1\",\"t\":\"paused\"}}\n{line}\n"
        );
        parse_jsonl(&text, Path::new("r/trace.jsonl")).expect_err("a bad line").to_string()
    };
    let table = [
        ("nonsense", "expected ident at line 1 column 2"),
        ("[]", "an event is a JSON object"),
        (r#"{"host":"n1","t":"paused"}"#, "the event has no field `at`"),
        (r#"{"at":1,"host":"n1","t":"paused"}"#, "seconds with nine decimals as text"),
        (r#"{"at":"2.000000000","host":"n9","t":"paused"}"#, "\"n9\" is not a host of this trace"),
        (r#"{"at":"2.000000000","host":"n1","t":"napping"}"#, "unknown variant `napping`"),
        (r#"{"at":"2.000000000","host":"n1","t":"term"}"#, "expected struct variant"),
        (r#"{"at":"2.000000000","host":"n1","t":"term","term":1,"x":2}"#, "unknown field `x`"),
        (r#"{"at":"2.000000000","host":"n1","t":"cut","to":7}"#, "7 is not a host of this trace"),
        (r#"{"at":"2000000000.000000000","host":"n1","t":"paused"}"#, "more than 31 years"),
        (r#"{"at":"0.500000000","host":"n1","t":"paused"}"#, "before that of the event above"),
    ];
    for (line, expected) in table {
        let found = message(line);
        assert!(found.starts_with("r/trace.jsonl:3: "), "{found}");
        assert!(found.contains(expected), "{line}: {found}");
    }
    let old = header.replace("\"version\":1", "\"version\":2");
    let error = parse_jsonl(&old, Path::new("t")).expect_err("another format").to_string();
    assert_eq!(error, "t:1: format 2 of traces; this sim-runner reads 1");
}

#[test]
fn the_first_difference_is_shown_from_both_sides() {
    let story = Story::led();
    let left = Recording { header: header(), events: story.events.clone() };
    assert_eq!(diff(&left, &left), None);
    assert_eq!(determinism::replayed(9, None).verdict, Verdict::Holds);

    let mut right = left.clone();
    right.events[7].what = What::Paused;
    let difference = diff(&left, &right).expect("they differ");
    assert_eq!((difference.index, difference.context.len()), (7, 5));
    assert_eq!(difference.left.as_ref(), Some(&left.events[7]));
    let text = difference.to_string();
    assert!(text.starts_with("the traces differ from event 7 on:\n"), "{text}");
    assert!(text.contains("\n  left  {\"at\":"), "{text}");
    assert!(text.ends_with(r#""t":"paused"}"#), "{text}");

    let judgement = determinism::replayed(9, Some(&difference));
    assert_eq!(judgement.verdict, Verdict::Violated);
    assert_eq!(judgement.violations[0].signature, "determinism: the replay took another course");
    assert_eq!(judgement.violations[0].events, [7]);
}

#[test]
fn a_shorter_trace_differs_where_it_ends() {
    let left = Recording { header: header(), events: Story::led().events };
    let mut right = left.clone();
    right.events.pop();
    let difference = diff(&left, &right).expect("they differ");
    assert_eq!(difference.index, right.events.len());
    assert_eq!(difference.right, None);
    assert!(difference.to_string().ends_with("right (the trace ends here)"));
}
