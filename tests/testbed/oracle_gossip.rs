//! Members: conditions, events, and the properties of gossip, on told runs.

use sim_runner::property::Verdict;
use sim_runner::scenario::model::{Comparison, Condition, EventPattern, Number, State, Target};
use sim_runner::trace::View;
use sim_runner::trace::conditions::holds;
use sim_runner::trace::event::{Change, Host, HostInfo, HostKind, Pool, SwimState, What};
use sim_runner::trace::members::unconverged;

use crate::oracle_story::{MS, N1, N2, N3, Story, TESTBED, and, not};

const SECOND: i64 = 1_000;
const ALL: [Host; 3] = [N1, N2, N3];

fn name(host: Host) -> String {
    format!("n{}", host.0 + 1)
}

fn member(about: Host, change: Change) -> What {
    What::Member { pool: Pool::Lan, about: name(about), change, forced: false, ltime: 1 }
}

/// What one SWIM says of another, at its own address.
fn swim(about: Host, from: Option<SwimState>, to: SwimState, incarnation: u32) -> What {
    swim_at(about, "10.0.0.9:8301", from, to, incarnation)
}

fn swim_at(
    about: Host,
    address: &str,
    from: Option<SwimState>,
    to: SwimState,
    incarnation: u32,
) -> What {
    let (about, address) = (name(about), address.to_owned());
    What::Swim { pool: Pool::Lan, about, address, from, to, incarnation }
}

/// Three servers that lead, follow, and list each other.
fn joined() -> Story {
    let mut story = Story::led();
    for host in ALL {
        for about in ALL {
            story.push(host, member(about, Change::Joined));
        }
    }
    story
}

/// It ends, and these list it as failed some seconds later.
fn killed(story: &mut Story, gone: Host, at: i64, observers: &[Host]) {
    story.at(at * SECOND).kill(gone);
    story.now += 6 * SECOND * MS;
    for host in observers {
        story.push(*host, member(gone, Change::Failed));
    }
}

/// It starts again and joins these.
fn returned(story: &mut Story, back: Host, at: i64, others: &[Host]) {
    story.at(at * SECOND).start(back, 1, None, &[]);
    for host in others {
        story.push(back, member(*host, Change::Joined));
        story.push(*host, member(back, Change::Joined));
    }
    story.push(back, member(back, Change::Joined));
}

/// A moment at which nothing happens.
fn tick(story: &mut Story, at: i64) {
    story.at(at * SECOND).push(TESTBED, What::Note { text: "tick".to_owned() });
}

fn verdict(story: &Story, property: &str) -> Verdict {
    story.judgement(property).verdict
}

#[test]
fn without_gossip_nothing_is_judged() {
    let story = Story::led();
    for property in [
        "gossip-completeness",
        "gossip-accuracy",
        "incarnation-monotonic",
        "no-stale-resurrection",
        "views-converge",
    ] {
        assert_eq!(verdict(&story, property), Verdict::Skipped, "{property}");
    }
}

#[test]
fn the_dead_must_be_noticed() {
    let mut story = joined();
    killed(&mut story, N3, 10, &[N1, N2]);
    tick(&mut story, 300);
    assert_eq!(verdict(&story, "gossip-completeness"), Verdict::Holds);
    assert_eq!(story.judgement("gossip-completeness").judged, 2);

    let mut story = joined();
    killed(&mut story, N3, 10, &[N1]);
    // Two rounds of probes with one slow one, the longest suspicion, and slack: 22 + 24 + 10.
    tick(&mut story, 65);
    assert_eq!(verdict(&story, "gossip-completeness"), Verdict::Holds);
    tick(&mut story, 67);
    story.assert_caught("gossip-completeness: an agent that has ended is listed as alive");
    let said = &story.judgement("gossip-completeness").violations[0].summary;
    assert!(said.starts_with("n2 still lists n3 as alive in the LAN pool at 67.000 s"), "{said}");
}

#[test]
fn a_leaver_may_be_listed_as_left_or_not_at_all() {
    let mut story = joined();
    story.at(10 * SECOND).push(N3, member(N3, Change::Left));
    story.push(N1, member(N3, Change::Left)).push(N2, member(N3, Change::Reaped));
    story.kill(N3);
    tick(&mut story, 300);
    assert_eq!(verdict(&story, "gossip-completeness"), Verdict::Holds);
    assert_eq!(verdict(&story, "gossip-accuracy"), Verdict::Holds);
}

#[test]
fn while_something_is_wrong_nobody_need_notice() {
    let mut story = joined();
    story.at(SECOND).push(N1, What::Cut { to: N2 });
    killed(&mut story, N3, 10, &[]);
    tick(&mut story, 300);
    assert_eq!(verdict(&story, "gossip-completeness"), Verdict::Holds);
    // The bound counts from the end of it.
    story.at(300 * SECOND).push(N1, What::Healed { to: N2 });
    tick(&mut story, 350);
    assert_eq!(verdict(&story, "gossip-completeness"), Verdict::Holds);
    tick(&mut story, 357);
    assert_eq!(verdict(&story, "gossip-completeness"), Verdict::Violated);
    // One that came back in time is owed nothing.
    let mut story = joined();
    killed(&mut story, N3, 10, &[]);
    returned(&mut story, N3, 40, &[N1, N2]);
    tick(&mut story, 400);
    assert_eq!(verdict(&story, "gossip-completeness"), Verdict::Holds);
}

#[test]
fn nobody_is_declared_failed_in_calm() {
    let fact = "gossip-accuracy: a live agent was declared failed in calm";
    let mut story = joined();
    story.at(100 * SECOND).push(N1, member(N3, Change::Failed));
    story.assert_caught(fact);
    // While it is paused, and for as long as the suspicion of that may last, it may be.
    let mut story = joined();
    story.at(100 * SECOND).push(N3, What::Paused);
    story.at(110 * SECOND).push(N1, member(N3, Change::Failed));
    story.at(111 * SECOND).push(N3, What::Resumed);
    story.at(112 * SECOND).push(N1, member(N3, Change::Joined));
    story.at(150 * SECOND).push(N2, member(N3, Change::Failed));
    story.at(151 * SECOND).push(N2, member(N3, Change::Joined));
    story.assert_accepted();
    story.at(160 * SECOND).push(N2, member(N3, Change::Failed));
    story.assert_caught(fact);
    // One that is on its way out is nobody's.
    let mut story = joined();
    story.at(100 * SECOND).push(N3, member(N3, Change::Left));
    story.push(N1, member(N3, Change::Failed));
    story.assert_accepted();
    // Nor is a network accused that loses much.
    let mut story = joined();
    story.plan.network.loss = proconsul::base::Ratio::new(1, 5);
    story.at(100 * SECOND).push(N1, member(N3, Change::Failed));
    story.assert_accepted();
}

#[test]
fn two_that_can_reach_each_other_find_each_other_again() {
    let fact = "gossip-accuracy: a live agent stays listed as failed";
    let mut story = joined();
    story.at(10 * SECOND).push(N1, What::Cut { to: N3 }).push(N3, What::Cut { to: N1 });
    story.at(20 * SECOND).push(N1, member(N3, Change::Failed));
    tick(&mut story, 1000);
    story.assert_accepted();
    story.at(1000 * SECOND).push(N1, What::Healed { to: N3 }).push(N3, What::Healed { to: N1 });
    tick(&mut story, 1119);
    story.assert_accepted();
    let mut healed = story.clone();
    healed.push(N1, member(N3, Change::Joined));
    tick(&mut healed, 3000);
    healed.assert_accepted();
    tick(&mut story, 1121);
    story.assert_caught(fact);
    // One that knows nothing of the other has not joined it.
    let mut story = joined();
    killed(&mut story, N3, 10, &[N1, N2]);
    story.at(30 * SECOND).start(N3, 1, None, &[]);
    story.push(N3, member(N3, Change::Joined));
    tick(&mut story, 1000);
    story.assert_accepted();
}

#[test]
fn incarnations_grow() {
    use SwimState::{Alive, Dead, Suspect};
    let against = |accused, incarnation| What::Refuted {
        pool: Pool::Lan,
        by: "n1".to_owned(),
        accused,
        incarnation,
    };
    let refuted = |incarnation| against(1, incarnation);
    let mut story = joined();
    story.push(N1, swim(N1, None, Alive, 1)).push(N1, refuted(2)).push(N1, refuted(5));
    story.push(N2, swim(N1, None, Alive, 5)).push(N2, swim(N1, Some(Alive), Suspect, 5));
    story.push(N2, swim(N1, Some(Suspect), Alive, 6)).push(N2, swim(N1, Some(Alive), Suspect, 6));
    story.push(N2, swim(N1, Some(Suspect), Dead, 6));
    // Forgotten, and come back as another process of that name.
    story.push(N2, swim(N1, None, Alive, 1));
    story.push(N2, swim(N1, Some(Alive), Suspect, 1));
    story.push(N2, swim(N1, Some(Suspect), Dead, 1));
    story.at(40 * SECOND).push(N2, swim_at(N1, "10.0.0.77:8301", Some(Dead), Alive, 0));
    story.assert_accepted();

    let mut again = story.clone();
    again.push(N1, refuted(5));
    again.assert_caught("incarnation-monotonic: a refutation without a new incarnation");
    let mut below = story.clone();
    below.push(N1, against(9, 9));
    below.assert_caught("incarnation-monotonic: a refutation below the accusation");
    let mut back = story.clone();
    back.push(N1, refuted(4));
    back.assert_caught("incarnation-monotonic: an own incarnation went back");
    let mut held = story.clone();
    held.push(N3, swim(N1, None, Alive, 5)).push(N3, swim(N1, Some(Alive), Suspect, 4));
    held.assert_caught("incarnation-monotonic: an incarnation that is held went back");
    // A new process counts anew.
    story.at(50 * SECOND).kill(N1);
    story.start(N1, 1, None, &[]);
    story.push(N1, swim(N1, None, Alive, 1)).push(N1, refuted(2));
    story.assert_accepted();
}

#[test]
fn nobody_comes_back_by_old_word() {
    use SwimState::{Alive, Dead, Left, Suspect};
    let elsewhere = "10.0.0.77:8301";
    let told = |from: SwimState, what: What, after: i64| {
        let mut story = joined();
        story.push(N1, swim(N3, None, Alive, 3)).push(N1, swim(N3, Some(Alive), from, 3));
        story.now += after * SECOND * MS;
        story.push(N1, what);
        let verdict = verdict(&story, "no-stale-resurrection");
        assert_ne!(verdict, Verdict::Skipped);
        verdict == Verdict::Holds
    };
    for from in [Suspect, Dead, Left] {
        assert!(told(from, swim(N3, Some(from), Alive, 4), 1));
        assert!(!told(from, swim(N3, Some(from), Alive, 3), 1), "{from:?}, the same incarnation");
        assert!(!told(from, swim(N3, Some(from), Alive, 2), 100), "{from:?}, an older one");
        // Of one that was forgotten in between nothing is known.
        assert!(told(from, swim(N3, None, Alive, 1), 100));
    }
    let moved = |from| swim_at(N3, elsewhere, Some(from), Alive, 1);
    assert!(told(Left, moved(Left), 1), "its name is free");
    assert!(told(Dead, moved(Dead), 31), "reclaimed");
    assert!(!told(Dead, moved(Dead), 20), "too early");
    assert!(!told(Suspect, moved(Suspect), 100), "a conflict");
}

#[test]
fn ghosts_do_not_walk() {
    use SwimState::{Alive, Dead, Suspect};
    let gone = |story: &mut Story, host| {
        story.push(host, swim(N3, None, Alive, 3)).push(host, swim(N3, Some(Alive), Suspect, 3));
        story.push(host, swim(N3, Some(Suspect), Dead, 3));
    };
    let mut story = joined();
    killed(&mut story, N3, 10, &[N1, N2]);
    gone(&mut story, N1);
    let mut lagging = story.clone();
    gone(&mut story, N2);
    story.at(60 * SECOND).push(N1, swim(N3, None, Alive, 3));
    story.assert_caught("no-stale-resurrection: a ghost came back");
    story.events.pop();
    story.at(50 * SECOND).push(N1, swim(N3, None, Alive, 3));
    story.assert_accepted();
    // Where somebody has not noticed, it may tell.
    lagging.push(N2, swim(N3, None, Alive, 3));
    lagging.at(60 * SECOND).push(N1, swim(N3, None, Alive, 3));
    lagging.assert_accepted();
}

#[test]
fn nobody_dies_without_a_suspicion() {
    use SwimState::{Alive, Dead, Suspect};
    let mut story = joined();
    story.push(N1, swim(N3, None, Alive, 1)).push(N2, swim(N3, None, Alive, 1));
    story.push(N2, swim(N3, Some(Alive), Suspect, 1)).push(N2, swim(N3, Some(Suspect), Dead, 1));
    // Another may hear of the death and not of the suspicion.
    story.push(N1, swim(N3, Some(Alive), Dead, 1));
    story.assert_accepted();
    story.push(N1, swim(N3, Some(Dead), Alive, 2)).push(N1, swim(N3, Some(Alive), Dead, 2));
    story.assert_caught("gossip-accuracy: an agent was declared dead that nobody suspects");
}

#[test]
fn after_settling_all_agree() {
    let fact = "views-converge: agents list different members";
    let mut story = joined();
    story.settled();
    assert_eq!(verdict(&story, "views-converge"), Verdict::Holds);
    let mut story = joined();
    killed(&mut story, N3, 10, &[N1]);
    story.settled();
    story.assert_caught(fact);
    let said = &story.judgement("views-converge").violations[0].summary;
    assert!(said.contains("n1 lists n3 as failed, and n2 lists n3 as alive"), "{said}");
    // One that came later need not know of the dead.
    let mut story = joined();
    killed(&mut story, N3, 10, &[N1]);
    story.at(20 * SECOND).kill(N2);
    story.push(N1, member(N2, Change::Failed));
    returned(&mut story, N2, 30, &[N1]);
    story.settled();
    assert_eq!(verdict(&story, "views-converge"), Verdict::Holds);
    // Two pools that never met are two pools.
    let mut story = Story::led();
    for host in ALL {
        story.push(host, member(host, Change::Joined));
    }
    story.settled();
    assert_eq!(verdict(&story, "views-converge"), Verdict::Holds);
    // What did not settle is judged when it had time enough.
    let unsettled = What::NotSettled { fact: "x".to_owned(), detail: "y".to_owned() };
    let mut story = joined();
    killed(&mut story, N3, 10, &[N1]);
    story.at(100 * SECOND).push(TESTBED, unsettled.clone());
    assert_eq!(verdict(&story, "views-converge"), Verdict::Holds);
    story.events.pop();
    story.at(200 * SECOND).push(TESTBED, unsettled);
    story.assert_caught(fact);
}

fn state(of: fn(Target) -> State, whom: &str) -> Condition {
    Condition::State(of(Target::Node(whom.to_owned())))
}

fn at(condition: Condition, whom: &str) -> Condition {
    Condition::At(Box::new(condition), Target::Node(whom.to_owned()))
}

fn check(view: &View, table: &[(Condition, bool)]) {
    for (condition, expected) in table {
        assert_eq!(holds(condition, view), *expected, "{condition:?}");
    }
}

#[test]
fn conditions_speak_of_members() {
    let members = |with| Condition::Compare(Number::Members, Comparison::Equal, with);
    let converged = || Condition::State(State::MembersConverged);
    let mut story = joined();
    let table = [
        (state(State::Alive, "n3"), true),
        (state(State::Failed, "n3"), false),
        (not(state(State::Failed, "n3")), true),
        (state(State::Member, "u1"), false),
        (members(3), true),
        (converged(), true),
    ];
    check(&story.view(), &table);
    killed(&mut story, N3, 10, &[N1]);
    let table = [
        (state(State::Alive, "n3"), false),
        (not(state(State::Alive, "n3")), false),
        (at(state(State::Failed, "n3"), "n1"), true),
        (at(state(State::Alive, "n3"), "n2"), true),
        (at(members(2), "n1"), true),
        (members(2), false),
        (converged(), false),
        // Of a node that is down nobody has a view.
        (at(state(State::Alive, "n1"), "n3"), false),
    ];
    check(&story.view(), &table);
    story.push(N2, member(N3, Change::Left));
    assert!(!holds(&converged(), &story.view()), "failed and left are not the same");
    story.push(N1, member(N3, Change::Left));
    check(&story.view(), &[(state(State::Left, "n3"), true), (converged(), true)]);
    assert_eq!(unconverged(&story.view(), true), None);
}

#[test]
fn a_client_has_no_view_of_leaders() {
    let mut story = joined();
    let info =
        |name: &str, kind| HostInfo { name: name.to_owned(), kind, address: "10.0.0.9".to_owned() };
    story.header.hosts.push(info("c1", HostKind::Client));
    let c1 = Host(5);
    story.push(c1, What::Started);
    for host in ALL {
        story.push(c1, member(host, Change::Joined));
    }
    let one_leader = || Condition::State(State::OneLeader);
    let no_leader = || Condition::State(State::NoLeader);
    let table = [
        (one_leader(), true),
        (at(one_leader(), "c1"), false),
        (at(no_leader(), "c1"), false),
        (and(one_leader(), state(State::Alive, "n2")), true),
        (state(State::Alive, "c1"), false),
        (at(state(State::Alive, "n3"), "c1"), true),
    ];
    check(&story.view(), &table);
    // With every server gone nobody names a leader, whatever a client is alive.
    for host in ALL {
        story.kill(host);
    }
    let table = [
        (one_leader(), false),
        (no_leader(), true),
        (and(one_leader(), state(State::Up, "c1")), false),
        (and(no_leader(), state(State::Alive, "n3")), true),
    ];
    check(&story.view(), &table);
}

#[test]
fn events_of_members_are_counted() {
    let node = |name: &str| Target::Node(name.to_owned());
    let patterns = [
        (EventPattern::MemberJoined(node("n3")), 5),
        (EventPattern::MemberFailed(node("n3")), 2),
        (EventPattern::MemberFailed(Target::Servers), 2),
        (EventPattern::MemberLeft(node("n3")), 0),
        (EventPattern::Promoted(node("n3")), 1),
        (EventPattern::Promoted(node("n2")), 0),
        (EventPattern::RecoveredFromPeersJson, 1),
    ];
    let mut story = joined();
    let address = |host: Host| format!("10.0.0.{}:8300", host.0 + 1);
    let configuration = |index, voters: &[Host], others: &[Host]| What::Configuration {
        index,
        voters: voters.iter().map(|host| address(*host)).collect(),
        others: others.iter().map(|host| address(*host)).collect(),
    };
    for host in [N1, N2] {
        story.push(host, configuration(2, &[N1, N2], &[N3]));
    }
    for host in ALL {
        story.push(host, configuration(3, &[N1, N2, N3], &[]));
    }
    killed(&mut story, N3, 10, &[N1, N2]);
    returned(&mut story, N3, 30, &[N2]);
    let text = "found peers.json file, recovering Raft configuration...".to_owned();
    let (level, module) = ("INFO".to_owned(), "agent.server".to_owned());
    story.push(N1, What::Log { level, module, text });
    for (pattern, count) in patterns {
        let mut view = View::new(&story.header, [&pattern]);
        for event in &story.events {
            view.apply(event);
        }
        let counted = view.tallies.get(&pattern).map(|tally| tally.count);
        assert_eq!(counted, Some(count), "{pattern:?}");
    }
}
