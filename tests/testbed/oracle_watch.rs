//! `watch-complete` and `index-monotonic`: what long polls may show, and which indexes.

use sim_runner::history::operation::{Call, Mode, Outcome, Output};
use sim_runner::history::request::{Listed, Reply, Request, Watched};
use sim_runner::property::Verdict;
use sim_runner::trace::catalog::CatalogRow;
use sim_runner::trace::event::{Role, SnapshotRef, What};

use crate::oracle_catalog::{check, node, service};
use crate::oracle_locks::{ask, unknown};
use crate::oracle_story::{N1, N2, N3, Story};

/// A poll of everything under `x` on `index`, answered with another; times in ms.
fn poll(story: &mut Story, index: u64, found: (u64, &[(&str, &str)]), span: (i64, i64)) {
    let row = |(key, value): &(&str, &str)| Listed {
        key: (*key).to_owned(),
        value: Some((*value).to_owned()),
        index: found.0,
    };
    let rows = Reply::Rows(found.1.iter().map(row).collect());
    let request = Request::Watch { on: Watched::Kv, index, wait_ns: 10_000_000_000 };
    ask(story, ("w1", "x"), request, rows, span);
    story.history.last_mut().expect("it was added").index = Some(found.0);
}

fn end(story: &mut Story) {
    story.at(60_000).push(N1, What::Note { text: "the end".to_owned() });
}

fn assert_holds(story: &Story, property: &str) {
    let judgement = story.judgement(property);
    assert_eq!(judgement.verdict, Verdict::Holds, "{:?}", judgement.violations);
}

fn watched() -> Story {
    let mut story = Story::led();
    story.put("a", (1000, 1010));
    poll(&mut story, 0, (5, &[("x", "a")]), (1020, 1030));
    end(&mut story);
    story
}

#[test]
fn a_poll_is_woken_or_superseded() {
    let mut story = watched();
    poll(&mut story, 5, (8, &[("x", "c")]), (1040, 2100));
    story.put("b", (2000, 2010));
    story.put("c", (2020, 2030));
    assert_holds(&story, "watch-complete");
    // What is still under way may be seen or not.
    story.put("d", (3000, 3500));
    poll(&mut story, 8, (9, &[("x", "d")]), (3100, 3200));
    poll(&mut story, 9, (9, &[("x", "d")]), (3210, 3220));
    assert_holds(&story, "watch-complete");
}

#[test]
fn a_poll_that_sleeps_through_a_change_is_caught() {
    let mut story = watched();
    // Right after a start who is asked may not know the leader yet.
    let mut early = story.clone();
    poll(&mut early, 5, (5, &[("x", "a")]), (1040, 11_040));
    early.put("b", (2000, 2010));
    assert_holds(&early, "watch-complete");
    poll(&mut story, 5, (5, &[("x", "a")]), (12_040, 22_040));
    story.put("b", (13_000, 13_010));
    story.assert_caught("watch-complete: a poll that slept through a change");
    // While something is ill, nobody promises a moment; nor does a leader that was deposed.
    let mut ill = story.clone();
    ill.events.pop();
    ill.at(14_000).push(N2, What::Cut { to: N3 });
    end(&mut ill);
    assert_holds(&ill, "watch-complete");
    let mut deposed = story.clone();
    deposed.at(12_500).role(N1, Role::Follower, 1);
    deposed.wins(N2, 2);
    deposed.events.sort_by_key(|event| event.at);
    assert_holds(&deposed, "watch-complete");
    // A write of which nothing is known may not have been.
    let mut never = watched();
    poll(&mut never, 5, (5, &[("x", "a")]), (12_040, 22_040));
    never.put("b", (13_000, 13_010));
    unknown(&mut never);
    assert_holds(&never, "watch-complete");
}

#[test]
fn what_is_missed_or_invented_is_caught() {
    let mut story = watched();
    story.put("b", (2000, 2010));
    poll(&mut story, 0, (5, &[("x", "a")]), (2020, 2030));
    story.assert_caught("watch-complete: a change that was missed");
    let mut story = watched();
    poll(&mut story, 0, (6, &[]), (2020, 2030));
    story.assert_caught("watch-complete: a change that was missed");
    // A delete explains it.
    story.operation(Call::Delete, Output::Done, (1100, 1200), None);
    assert_holds(&story, "watch-complete");
    for (value, fact) in
        [("z", "a value that nobody wrote"), ("late", "a value before it was written")]
    {
        let mut story = watched();
        poll(&mut story, 0, (6, &[("x", value)]), (2020, 2030));
        story.put("late", (3000, 3010));
        story.assert_caught(&format!("watch-complete: {fact}"));
    }
    let mut story = watched();
    story.put("b", (1100, 1110));
    story.history.last_mut().expect("it was added").outcome = Outcome::Fail;
    poll(&mut story, 0, (6, &[("x", "b")]), (2020, 2030));
    story.assert_caught("watch-complete: a value whose write was refused");
    // The same value twice, by a script: the first may be what is seen.
    let mut story = watched();
    story.put("a", (5000, 5010));
    assert_holds(&story, "watch-complete");
}

#[test]
fn indexes_of_one_server_do_not_go_back() {
    let mut story = Story::led();
    story.get(Mode::Default, "a", 5, (1000, 1010));
    story.get(Mode::Consistent, "a", 4, (1020, 1030));
    // While the first was open: no order.
    story.get(Mode::Default, "a", 4, (1005, 1015));
    story.history.sort_by_key(|operation| operation.called_at);
    assert_holds(&story, "index-monotonic");
    story.get(Mode::Default, "a", 4, (1040, 1050));
    story.assert_caught("index-monotonic: an index that goes back");
    // Another leader's are another matter, and so are a server's own after a start.
    let mut story = Story::led();
    story.get(Mode::Default, "a", 5, (1000, 1010));
    story.at(1015).role(N1, Role::Follower, 1);
    story.wins(N2, 2);
    story.get(Mode::Default, "a", 4, (1020, 1030));
    assert_holds(&story, "index-monotonic");
    let stale = |restart: bool| {
        let mut story = Story::led();
        story.get(Mode::Stale, "a", 5, (1000, 1010));
        if restart {
            story.at(1012).kill(N1);
            story.at(1014).start(N1, 1, None, &[]);
        }
        story.get(Mode::Stale, "a", 4, (1020, 1030));
        story
    };
    assert_holds(&stale(true), "index-monotonic");
    stale(false).assert_caught("index-monotonic: an index that goes back");
}

#[test]
fn an_index_is_never_zero() {
    let mut story = Story::led();
    story.get(Mode::Default, "a", 0, (1000, 1010));
    story.assert_caught("index-monotonic: an index of 0");
}

/// Rows of n1's catalog, which leads: an instance of `web` on each of these nodes, at this index.
fn instances(story: &mut Story, ms: i64, index: u64, nodes: &[&str]) {
    let row = |name: &&str| [node(name, ""), service(&name.to_lowercase(), "web", index)];
    let rows = nodes.iter().flat_map(row).collect();
    story.at(ms).push(N1, What::Catalog { index, rows });
}

fn checked(story: &mut Story, ms: i64, index: u64, row: CatalogRow) {
    story.at(ms).push(N1, What::Catalog { index, rows: vec![row] });
}

/// A poll of who passes of `web`: nodes and versions.
fn poll_web(story: &mut Story, index: u64, found: (u64, &[(&str, u64)]), span: (i64, i64)) {
    let row = |(node, index): &(&str, u64)| Listed {
        key: format!("{node}/web"),
        value: Some("8080".to_owned()),
        index: *index,
    };
    let rows = Reply::Rows(found.1.iter().map(row).collect());
    let request = Request::Watch { on: Watched::Service, index, wait_ns: 10_000_000_000 };
    ask(story, ("w1", "web"), request, rows, span);
    story.history.last_mut().expect("it was added").index = Some(found.0);
}

#[test]
fn what_is_shown_of_a_service_is_what_the_catalog_says() {
    let mut story = Story::led();
    instances(&mut story, 1000, 5, &["A", "b"]);
    checked(&mut story, 2000, 6, check("b", "c", "critical", "web"));
    end(&mut story);
    poll_web(&mut story, 0, (5, &[("A", 5), ("b", 5)]), (1100, 1200));
    // It was so when the poll was sent, or when it was answered.
    poll_web(&mut story, 0, (5, &[("A", 5), ("b", 5)]), (1900, 2100));
    poll_web(&mut story, 5, (6, &[("A", 5)]), (1900, 2100));
    assert_holds(&story, "watch-complete");
    for (rows, fact) in [
        (&[("A", 5), ("b", 5)][..], "an answer that is not what the catalog says"),
        (&[][..], "an answer that is not what the catalog says"),
        (&[("A", 7)][..], "a row that nobody wrote"),
        (&[("A", 5), ("z", 5)][..], "a row that nobody wrote"),
    ] {
        let mut wrong = story.clone();
        poll_web(&mut wrong, 0, (6, rows), (3000, 3100));
        wrong.assert_caught(&format!("watch-complete: {fact}"));
    }
    // A leader that was deposed and does not know it answers from what it has.
    let mut deposed = story.clone();
    deposed.at(2500).wins(N2, 2);
    deposed.at(2600).push(N2, What::Catalog { index: 7, rows: vec![node("q", "")] });
    deposed.events.sort_by_key(|event| event.at);
    poll_web(&mut deposed, 0, (6, &[("A", 5)]), (3000, 3100));
    assert_holds(&deposed, "watch-complete");
    // A snapshot tells all rows again: they are as old as they were.
    let mut told = story.clone();
    told.events.pop();
    let snapshot = SnapshotRef { index: 9, term: 1, state: 0 };
    told.at(4000).push(N1, What::SnapshotInstalled { snapshot, operator: false });
    instances(&mut told, 4000, 9, &["A", "b"]);
    end(&mut told);
    poll_web(&mut told, 0, (9, &[("A", 5)]), (5000, 5100));
    assert_holds(&told, "watch-complete");
}

#[test]
fn who_waits_for_a_service_is_woken() {
    let woken = |answered_at: i64, trouble: Option<i64>| {
        let mut story = Story::led();
        instances(&mut story, 1000, 5, &["a"]);
        if let Some(ms) = trouble {
            story.at(ms).push(N2, What::Cut { to: N3 });
        }
        checked(&mut story, 14_000, 6, check("a", "c", "critical", ""));
        end(&mut story);
        poll_web(&mut story, 0, (5, &[("a", 5)]), (12_000, 12_010));
        poll_web(&mut story, 5, (5, &[]), (12_020, answered_at));
        story
    };
    assert_holds(&woken(14_900, None), "watch-complete");
    woken(16_000, None).assert_caught("watch-complete: a poll that slept through a change");
    assert_holds(&woken(16_000, Some(13_000)), "watch-complete");
}
