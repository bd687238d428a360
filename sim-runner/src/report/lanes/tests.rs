//! Folding small traces by hand.

use super::*;
use crate::history::operation::{Call, Mode, Operation, Outcome, Output, Seen};
use crate::trace::event::{Change, Ending, Header, Host, HostInfo, Pool, Role, SwimState};

fn header() -> Header {
    let host = |name: &str, kind, last: u8| HostInfo {
        name: name.into(),
        kind,
        address: format!("10.0.0.{last}"),
    };
    Header {
        version: 1,
        title: "t".into(),
        seed: "1".into(),
        hosts: vec![
            host("n1", HostKind::Server, 1),
            host("n2", HostKind::Server, 2),
            host("u1", HostKind::User, 3),
            host("testbed", HostKind::Testbed, 4),
        ],
        run_ns: 10_000_000,
        settle_ns: 0,
        lease_ns: 500_000_000,
    }
}

/// Events of n1 and of the testbed, at ms.
fn lanes(events: Vec<(i64, u16, What)>, history: &[Operation]) -> Lanes {
    let events: Vec<TraceEvent> = events
        .into_iter()
        .map(|(ms, host, what)| TraceEvent { at: ms * 1_000_000, host: Host(host), what })
        .collect();
    Lanes::of(Evidence { header: &header(), events: &events, history })
}

fn killed() -> What {
    What::Ended { how: Ending::Killed, detail: String::new() }
}

#[test]
fn roles_live_as_long_as_the_process() {
    let lanes = lanes(
        vec![
            (-5, 0, What::Started),
            (-4, 0, What::Term { term: 1 }),
            (-3, 0, What::Role { role: Role::Candidate, term: 1 }),
            (-2, 0, What::Role { role: Role::Leader, term: 1 }),
            (3, 0, killed()),
            (6, 0, What::Started),
            (7, 0, What::Term { term: 2 }),
        ],
        &[],
    );
    let n1 = &lanes.nodes[0];
    let spans: Vec<_> = n1.roles.iter().map(|s| (s.from, s.to, s.role, s.term)).collect();
    assert_eq!(
        spans,
        [
            (-5_000, -4_000, Role::Follower, 0),
            (-4_000, -3_000, Role::Follower, 1),
            (-2_000 - 1_000, -2_000, Role::Candidate, 1),
            (-2_000, 3_000, Role::Leader, 1),
            (6_000, 7_000, Role::Follower, 1),
            (7_000, 10_000, Role::Follower, 2),
        ]
    );
    assert_eq!(n1.life, [LifeSpan { from: 3_000, to: 6_000, state: Life::Down }]);
    let kinds: Vec<_> = n1.moments.iter().map(|moment| moment.kind).collect();
    assert_eq!(kinds, ["started", "killed", "started"]);
    let never_started = &lanes.nodes[1];
    assert_eq!(
        never_started.life,
        [LifeSpan { from: -5_000, to: 10_000, state: Life::Down }],
        "a node that never starts is down throughout"
    );
    assert!(never_started.roles.is_empty());
}

#[test]
fn others_think_what_they_were_told_while_they_run() {
    let told = |change| What::Member {
        pool: Pool::Lan,
        about: "n2".into(),
        change,
        forced: false,
        ltime: 1,
    };
    let suspects = What::Swim {
        pool: Pool::Lan,
        about: "n2".into(),
        address: String::new(),
        from: None,
        to: SwimState::Suspect,
        incarnation: 1,
    };
    let mut events = vec![(0, 0, What::Started)];
    let silent = lanes(events.clone(), &[]);
    assert!(silent.nodes.iter().all(|node| node.seen.is_empty()), "nobody gossips");
    events.push((1, 0, told(Change::Joined)));
    events.push((3, 0, suspects));
    events.push((5, 0, told(Change::Failed)));
    events.push((7, 0, killed()));
    events.push((8, 0, What::Started));
    events.push((9, 0, told(Change::Left)));
    let lanes = lanes(events, &[]);
    let rows: Vec<_> = lanes.nodes[1].seen.iter().map(|it| (it.from, it.to, it.state)).collect();
    assert_eq!(
        rows,
        [
            (0, 1_000, Thought::Unlisted),
            (3_000, 5_000, Thought::Suspect),
            (5_000, 7_000, Thought::Failed),
            (8_000, 9_000, Thought::Unlisted),
            (9_000, 10_000, Thought::Left),
        ]
    );
    assert!(lanes.nodes[0].seen.is_empty(), "n2 does not run");
}

#[test]
fn a_pause_that_ends_in_a_kill_is_two_spans() {
    let events = vec![(0, 0, What::Started), (2, 0, What::Paused), (4, 0, killed())];
    let spans: Vec<_> =
        lanes(events, &[]).nodes[0].life.iter().map(|s| (s.from, s.to, s.state)).collect();
    assert_eq!(spans, [(2_000, 4_000, Life::Paused), (4_000, 10_000, Life::Down)]);
}

#[test]
fn a_fault_lasts_until_it_is_undone() {
    let started = |step, id: &str| What::StepStarted {
        step,
        id: id.into(),
        verb: "partition".into(),
        chaos: false,
        detail: "leader".into(),
        targets: vec![Host(0)],
    };
    let lanes = lanes(
        vec![
            (1, 3, started(0, "cut")),
            (1, 3, What::StepFinished { step: 0 }),
            (2, 3, started(1, "odd")),
            (2, 3, What::StepFailed { step: 1, id: "odd".into(), message: "nobody leads".into() }),
            (8, 3, What::StepUndone { step: 0 }),
        ],
        &[],
    );
    let [cut, odd] = &lanes.faults[..] else { panic!("two faults") };
    assert_eq!((cut.from, cut.to, cut.undone), (1_000, Some(8_000), true));
    assert_eq!(cut.targets, ["n1"]);
    assert_eq!(odd.failed.as_deref(), Some("nobody leads"));
    assert_eq!(lanes.marks.len(), 1, "a failed step is told for the whole run, too");
}

#[test]
fn what_comes_by_the_thousand_is_aggregated() {
    let lost = || What::Drop { to: Host(1), tcp: true, why: "cut".into() };
    let mut events = vec![(0, 0, What::Started)];
    events.extend((0..250).map(|ms| (ms, 0, lost())));
    events.extend((0..5).map(|ms| (250 + ms, 0, What::HeartbeatTimeout)));
    events.extend((0..50).map(|ms| (260 + ms, 0, What::Mark { name: "again".into() })));
    let n1 = &lanes(events, &[]).nodes[0];
    let counts: Vec<_> = n1.drops.iter().map(|(at, why, n)| (*at, why.as_str(), *n)).collect();
    assert_eq!(counts, [(0, "cut", 100), (100_000, "cut", 100), (200_000, "cut", 50)]);
    let moments: Vec<_> = n1.moments.iter().map(|m| (m.kind, m.count)).collect();
    assert_eq!(moments, [("started", 1), ("timeout", 5), ("mark", 1)]);
}

#[test]
fn a_long_series_is_thinned_but_keeps_its_ends_and_its_falls() {
    let mut events = vec![(0, 0, What::Started)];
    events.extend((1..20_000).map(|i| (i, 0, What::Commit { index: i as u64 })));
    events.push((20_000, 0, killed()));
    events.push((20_001, 0, What::Started));
    events.push((20_002, 0, What::Commit { index: 7 }));
    let series = &lanes(events, &[]).nodes[0].commit;
    assert!(series.at.len() <= STEPS + 4, "{}", series.at.len());
    let values: Vec<i64> = series
        .to
        .iter()
        .scan(0, |sum, step| {
            *sum += step;
            Some(*sum)
        })
        .collect();
    assert_eq!(values[values.len() - 3..], [19_999, 0, 7]);
}

#[test]
fn operations_become_columns_with_one_table_of_strings() {
    let operation = |id: u64, call, output, called_at, returned_at| Operation {
        id,
        client: 0,
        user: "u1".into(),
        server: "n1".into(),
        key: "k1".into(),
        call,
        called_at,
        returned_at,
        outcome: if returned_at.is_some() { Outcome::Ok } else { Outcome::Unknown },
        output,
        index: None,
        error: None,
    };
    let seen = Seen { key: "k1".into(), value: "é".repeat(100), modify_index: Some(9) };
    let history = [
        operation(4, Call::Put { value: "a".into() }, None, 5_000, None),
        operation(
            6,
            Call::Get { mode: Mode::Stale },
            Some(Output::Value(Some(seen))),
            9_000,
            Some(12_000),
        ),
    ];
    let rows = Operations::of(&history);
    assert_eq!(
        (rows.id.clone(), rows.at.clone(), rows.took.clone()),
        (vec![4, 2], vec![5, 4], vec![-1, 3])
    );
    let text = |row: u32| rows.strings[row as usize].as_str();
    assert_eq!(rows.strings.iter().filter(|text| *text == "k1").count(), 1);
    assert_eq!((text(rows.call[0]), text(rows.input[0]), text(rows.mode[0])), ("put", "\"a\"", ""));
    assert_eq!((text(rows.call[1]), text(rows.mode[1])), ("get", "stale"));
    assert!(
        text(rows.answer[1]).ends_with("… (200 bytes)\" (version 9)"),
        "{}",
        text(rows.answer[1])
    );
    assert_eq!(rows.outcome, [2, 0]);
}

#[test]
fn services_are_counted_once_by_how_well_they_are() {
    use crate::trace::event::CatalogRow;
    let service = |node: &str| CatalogRow::Service {
        node: node.into(),
        id: "web".into(),
        service: "web".into(),
        address: String::new(),
        port: 0,
        tags: Vec::new(),
        content: 1,
    };
    let check = |node: &str, status: &str| CatalogRow::Check {
        node: node.into(),
        id: "c".into(),
        status: status.into(),
        service_id: "web".into(),
        service: "web".into(),
        content: 1,
    };
    let catalog = |index, rows: &[CatalogRow]| What::Catalog { index, rows: rows.to_vec() };
    let gone = CatalogRow::NoService { node: "a".into(), id: "web".into() };
    let lanes = lanes(
        vec![
            (1, 0, catalog(5, &[service("a"), service("b")])),
            (2, 1, catalog(5, &[service("a"), service("b")])),
            (3, 1, catalog(6, &[check("b", "critical")])),
            (4, 0, catalog(6, &[check("b", "critical")])),
            (5, 0, catalog(7, &[check("b", "critical"), check("a", "warning")])),
            (6, 0, catalog(8, &[gone])),
        ],
        &[],
    );
    let [web] = &lanes.services[..] else { panic!("{:?}", lanes.services) };
    let rows = web.rows.iter().map(|it| (it.at, it.passing, it.warning, it.critical));
    assert_eq!(
        rows.collect::<Vec<_>>(),
        [(1_000, 2, 0, 0), (3_000, 1, 0, 1), (5_000, 0, 1, 1), (6_000, 0, 0, 1)]
    );
}
