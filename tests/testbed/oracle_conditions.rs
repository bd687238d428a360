//! Conditions of the scenario language, in views of told runs.

use sim_runner::scenario::model::{Comparison, Condition, EventPattern, Number, State, Target};
use sim_runner::trace::View;
use sim_runner::trace::conditions::{holds, patterns_of};
use sim_runner::trace::event::{Role, What};
use sim_runner::trace::happened::{Happened, Tally, matches};
use sim_runner::trace::locks::{Holder, LockRow};
use sim_runner::trace::resolve::resolve;

use crate::oracle_catalog::service;
use crate::oracle_story::{MS, N1, N2, N3, Story, TESTBED, and, entry, not};

fn state(state: State) -> Condition {
    Condition::State(state)
}

fn node(name: &str) -> Target {
    Target::Node(name.to_owned())
}

fn leader(name: &str) -> Condition {
    state(State::Leader(node(name)))
}

fn at(condition: Condition, name: &str) -> Condition {
    Condition::At(Box::new(condition), node(name))
}

fn compare(number: Number, comparison: Comparison, with: u64) -> Condition {
    Condition::Compare(number, comparison, with)
}

/// (condition, holds) in one view.
fn check(view: &View, table: &[(Condition, bool)]) {
    for (condition, expected) in table {
        assert_eq!(holds(condition, view), *expected, "{condition:?}");
    }
}

#[test]
fn with_a_leader_that_all_follow() {
    let view = Story::led().view();
    let table = [
        (state(State::OneLeader), true),
        (state(State::NoLeader), false),
        (leader("n1"), true),
        (leader("n2"), false),
        (not(leader("n2")), true),
        (at(leader("n1"), "n3"), true),
        (state(State::Writable), true),
        (state(State::LogsConverged), true),
        (state(State::Up(Target::Servers)), true),
        (state(State::Down(Target::Any)), false),
        (state(State::Voter(node("n2"))), true),
        (state(State::Voter(node("u1"))), false),
        (compare(Number::Leaders, Comparison::Equal, 1), true),
        (compare(Number::LeadersPerTerm, Comparison::Less, 2), true),
        (compare(Number::Voters, Comparison::GreaterOrEqual, 3), true),
        (compare(Number::Term, Comparison::Equal, 1), true),
        (compare(Number::Term, Comparison::NotEqual, 1), false),
        (compare(Number::OkRatio, Comparison::Equal, 100), true),
        (and(state(State::OneLeader), state(State::Writable)), true),
    ];
    check(&view, &table);
}

#[test]
fn locks_and_services_are_what_the_servers_tables_say() {
    let (locked, free) = (state(State::Locked("lock/0".to_owned())), State::Locked("l".to_owned()));
    let holder = || Target::Holder("lock/0".to_owned());
    let web = || Target::Service("Web".to_owned());
    let mut story = Story::led();
    let row = |holder: Option<&str>| LockRow {
        key: "lock/0".to_owned(),
        holder: holder.map(|node| Holder { session: "s".to_owned(), node: node.to_owned() }),
    };
    let held = |node| What::Locks { index: 2, rows: vec![row(node)] };
    story.push(N1, held(Some("N2"))).push(N2, held(Some("N2")));
    check(&story.view(), &[(locked.clone(), false), (not(locked.clone()), false)]);
    story.push(N3, held(Some("N2")));
    story.push(
        N1,
        What::Catalog {
            index: 3,
            rows: ["n1", "n3", "elsewhere"].map(|node| service(node, "web", 1)).to_vec(),
        },
    );
    let view = story.view();
    assert_eq!(resolve(&holder(), &view).hosts, [N2]);
    assert_eq!(resolve(&web(), &view).hosts, [N1, N3]);
    assert_eq!(resolve(&Target::Not(Box::new(web())), &view).hosts, [N2]);
    let table = [
        (locked.clone(), true),
        (state(free), false),
        (at(locked.clone(), "n3"), true),
        (state(State::Up(holder())), true),
        (state(State::Up(Target::Holder("other".to_owned()))), false),
    ];
    check(&view, &table);
    // While nobody leads, the server that has applied most is asked; a process that is gone forgets.
    story.applies(N3, entry(2, 1));
    story.kill(N1);
    story.push(N3, held(None));
    let view = story.view();
    assert_eq!(resolve(&holder(), &view).hosts, []);
    story.push(N2, held(None));
    check(&story.view(), &[(not(locked), true)]);
}

#[test]
fn while_servers_disagree_neither_a_condition_nor_its_negation_holds() {
    let mut story = Story::led();
    story.names(N3, None);
    let table = [
        (state(State::OneLeader), false),
        (not(state(State::OneLeader)), false),
        (leader("n1"), false),
        (not(leader("n1")), false),
        (at(not(leader("n1")), "n3"), true),
        (at(state(State::NoLeader), "n3"), true),
        (at(state(State::OneLeader), "n2"), true),
        (state(State::Writable), true),
    ];
    check(&story.view(), &table);
}

#[test]
fn after_the_leader_died() {
    let mut story = Story::led();
    story.kill(N1).names(N2, None);
    check(&story.view(), &[(state(State::NoLeader), false), (state(State::OneLeader), false)]);
    story.names(N3, None);
    let table = [
        (state(State::NoLeader), true),
        (state(State::Writable), false),
        (state(State::Down(node("n1"))), true),
        (state(State::Up(Target::Followers)), true),
        (state(State::Down(Target::OldLeader)), true),
        (state(State::Up(Target::Leader)), false),
        (state(State::Down(Target::Leader)), false),
        (at(leader("n1"), "n1"), false),
        (compare(Number::Leaders, Comparison::Equal, 0), true),
    ];
    check(&story.view(), &table);
}

#[test]
fn with_nobody_up_there_is_no_leader_and_no_term() {
    let mut story = Story::led();
    story.kill(N1).kill(N2).kill(N3);
    let table = [
        (state(State::NoLeader), true),
        (state(State::OneLeader), false),
        (compare(Number::Term, Comparison::GreaterOrEqual, 0), false),
        (state(State::Down(Target::Servers)), true),
    ];
    check(&story.view(), &table);
}

#[test]
fn a_paused_leader_is_not_live_and_a_second_one_breaks_one_leader() {
    let mut paused = Story::led();
    paused.push(N1, What::Paused);
    let table = [
        (state(State::OneLeader), false),
        (state(State::Up(node("n1"))), true),
        (state(State::Writable), false),
        (state(State::Up(Target::Leader)), true),
    ];
    check(&paused.view(), &table);

    let mut two = Story::led();
    two.push(N2, What::Term { term: 2 }).push(N2, What::ElectionWon { term: 2, tally: 2 });
    two.role(N2, Role::Leader, 2).names(N2, Some(N2));
    assert_eq!(two.view().leader(), Some(N2));
    check(&two.view(), &[(state(State::OneLeader), false)]);
}

#[test]
fn writable_needs_an_own_committed_entry_and_a_connected_quorum() {
    let writable = state(State::Writable);
    let mut fresh = Story::led();
    fresh.role(N1, Role::Follower, 2).wins(N2, 2);
    fresh.names(N1, Some(N2)).names(N2, Some(N2)).names(N3, Some(N2));
    assert!(!holds(&writable, &fresh.view()), "nothing of term 2 is committed");
    fresh.replicate(&[N2, N3], &[entry(2, 2)]).commits(N2, 2);
    assert!(holds(&writable, &fresh.view()));

    let mut cut = Story::led();
    cut.push(N1, What::Cut { to: N2 });
    assert!(holds(&writable, &cut.view()));
    cut.push(N3, What::Cut { to: N1 });
    assert!(!holds(&writable, &cut.view()));
    cut.push(N3, What::Healed { to: N1 });
    assert!(holds(&writable, &cut.view()));
}

#[test]
fn logs_converge_when_all_of_the_same_log_is_committed() {
    let converged = state(State::LogsConverged);
    let mut story = Story::led();
    story.replicate(&[N1, N2], &[entry(2, 1)]);
    assert!(!holds(&converged, &story.view()));
    story.replicate(&[N3], &[entry(2, 1)]);
    assert!(!holds(&converged, &story.view()), "not committed yet");
    for host in [N1, N2, N3] {
        story.commits(host, 2).applies(host, entry(2, 1));
    }
    assert!(holds(&converged, &story.view()));
}

#[test]
fn leadership_events_show_against_the_state_before() {
    let mut story = Story::led();
    story.at(1000).kill(N1).at(2000).wins(N2, 2).at(3000).role(N2, Role::Follower, 3);
    story.at(4000).wins(N2, 4);
    let mut view = View::new(&story.header, []);
    let mut told = Vec::new();
    for event in &story.events {
        let happened = view.apply(event);
        if happened != Happened::default() {
            told.push((event.at / MS, happened.elected, happened.lost, happened.changed));
        }
    }
    let expected = [
        (0, true, false, false),
        (1000, false, true, false),
        (2000, true, false, true),
        (3000, false, true, false),
        (4000, true, false, false),
    ];
    assert_eq!(told, expected);
    assert_eq!(view.old_leader(), Some(N1));
}

#[test]
fn events_are_counted_from_time_zero_on() {
    let won = |story: &mut Story| {
        story.push(N1, What::ElectionWon { term: 1, tally: 2 });
    };
    let mut story = Story::new();
    story.events.clear();
    won(story.at(-500));
    won(story.at(0));
    won(story.at(700));
    story.push(N1, What::Mark { name: "rare".to_owned() });
    let log = |text: &str| What::Log {
        level: "WARN".to_owned(),
        module: "raft".to_owned(),
        text: text.to_owned(),
    };
    story.push(N1, log("heartbeat timeout reached, starting election"));
    let patterns = [
        (EventPattern::LeaderElected, 2, Some(0)),
        (EventPattern::LeaderChange, 0, None),
        (EventPattern::Mark("rare".to_owned()), 1, Some(700 * MS)),
        (EventPattern::Mark("rar".to_owned()), 0, None),
        (EventPattern::Logged("timeout reached".to_owned()), 1, Some(700 * MS)),
        (EventPattern::Logged("election won".to_owned()), 0, None),
    ];
    for (pattern, count, first) in patterns {
        let mut view = View::new(&story.header, [&pattern]);
        let mut tally = Tally::new(pattern.clone());
        for event in &story.events {
            let happened = view.apply(event);
            assert_eq!(
                matches(&pattern, event, happened, &view),
                tally.observe(event, happened, &view)
            );
        }
        assert_eq!((tally.count, tally.first), (count, first), "{pattern:?}");
        let condition = compare(Number::Count(pattern.clone()), Comparison::Equal, count);
        assert_eq!(patterns_of(&condition), [&pattern]);
        assert!(holds(&condition, &view));
    }
}

#[test]
fn users_numbers() {
    let mut story = Story::led();
    let mut view = story.view();
    view.operations.know_writes([0, 1, 3]);
    let returns = |op, outcome: &str| What::Return { op, outcome: outcome.to_owned() };
    let events = [
        (1000, What::Invoke { op: 0 }),
        (1100, returns(0, "ok")),
        (1200, What::Invoke { op: 1 }),
        (2000, What::Invoke { op: 2 }),
        (2100, returns(2, "ok")),
        (6200, returns(1, "unknown")),
        (6300, What::Invoke { op: 3 }),
        (6400, returns(3, "ok")),
        (9900, What::Invoke { op: 4 }),
        (9999, returns(4, "fail")),
    ];
    for (ms, what) in events {
        story.at(ms).push(TESTBED, what);
        view.apply(story.events.last().expect("just pushed"));
    }
    let table = [
        (compare(Number::UnknownOps, Comparison::Equal, 1), true),
        (compare(Number::OkRatio, Comparison::Equal, 60), true),
        (compare(Number::OkRatio, Comparison::Greater, 60), false),
        // From 1.1 s to 6.4 s: more than five seconds, less than six.
        (compare(Number::LongestOutage, Comparison::Greater, 5), true),
        (compare(Number::LongestOutage, Comparison::Less, 6), true),
    ];
    check(&view, &table);
}

#[test]
fn targets_of_steps_are_remembered() {
    let mut story = Story::led();
    story.step(0, "kill", &[N2]).kill(N2).step(1, "restart", &[N2]);
    story.step(2, "partition", &[N1, N3]);
    let table = [
        (state(State::Down(Target::LastKilled)), true),
        (state(State::Up(Target::SameAs(2))), true),
        (state(State::Up(Target::SameAs(9))), false),
        (state(State::Down(Target::Not(Box::new(Target::SameAs(2))))), true),
        (state(State::Up(Target::ServerAny)), true),
        (state(State::Up(Target::List(vec![node("n1"), node("n2")]))), false),
        (state(State::Up(Target::Minority)), false),
    ];
    check(&story.view(), &table);
}

#[test]
fn the_revision_stands_still_while_only_messages_move() {
    let mut story = Story::led();
    let mut view = story.view();
    let before = view.revision();
    story.push(N1, What::Deliver { from: N2, tcp: true, bytes: 9, hash: 1 });
    story.push(N1, What::Drop { to: N2, tcp: true, why: "cut".to_owned() });
    story.served(N1, 1, 1, 1);
    let quiet = story.events.len() - 3;
    story.events[quiet..].iter().for_each(|event| {
        view.apply(event);
    });
    assert_eq!(view.revision(), before);
    story.kill(N1);
    view.apply(story.events.last().expect("just pushed"));
    assert_ne!(view.revision(), before);
}
