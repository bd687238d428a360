//! What users saw: lost writes, and the windows in which a default read may be stale.

use sim_runner::checker::windows::{ReadWindow, stale_reads, windows};
use sim_runner::history::operation::{Call, Mode, Output};
use sim_runner::trace::event::{Role, What};

use crate::oracle_story::{MS, N1, N2, N3, Story, entry};

#[test]
fn durability_catches_an_acknowledged_write_that_was_never_applied() {
    let mut story = Story::led();
    story.put("7", (900, 1100));
    story.at(1000).write_through(entry(2, 1), "x", "8").settled();
    story.assert_caught("durability: an acknowledged write was not applied");
    assert_eq!(story.judgement("durability").violations[0].operations, [0]);
}

#[test]
fn durability_catches_an_acknowledgement_before_the_write_was_applied() {
    let mut story = Story::led();
    story.put("7", (900, 950));
    story.at(1000).write_through(entry(2, 1), "x", "7").settled();
    story.assert_caught("durability: an acknowledged write was not applied");
}

#[test]
fn durability_wants_an_entry_for_each_acknowledged_removal() {
    let mut story = Story::led();
    story.operation(Call::Delete, Output::Done, (900, 1100), None);
    story.operation(Call::Delete, Output::Done, (900, 1200), None);
    story.at(1000).write_through(entry(2, 1), "x", "");
    let mut both = story.clone();
    story.settled();
    story.assert_caught("durability: an acknowledged write was not applied");
    both.at(1150).write_through(entry(3, 1), "x", "").settled();
    both.assert_accepted();
}

#[test]
fn durability_accepts_comparisons_that_failed_and_reads() {
    let mut story = Story::led();
    let call = Call::CasIndex { index: 9, value: "7".to_owned() };
    story.operation(call, Output::Swapped(false), (900, 1100), None);
    story.get(Mode::Consistent, "6", 1, (900, 1100));
    story.at(1000).settled();
    story.assert_accepted();
}

/// n1 leads term 1 and has applied x=7 (entry 2); n2 wins term 2 at 2 s and writes x=8 (entry 4).
fn deposed() -> Story {
    let mut story = Story::led();
    story.put("7", (900, 1100));
    story.at(1000).write_through(entry(2, 1), "x", "7");
    story.at(2000).push(N2, What::Term { term: 2 });
    story.push(N2, What::ElectionWon { term: 2, tally: 2 }).role(N2, Role::Leader, 2);
    story.push(N3, What::Term { term: 2 });
    story.put("8", (2100, 2200));
    story.at(2150).replicate(&[N2, N3], &[entry(3, 2), entry(4, 2)]).commits(N2, 4);
    story.applies(N2, entry(3, 2)).applies(N2, entry(4, 2)).wrote(N2, 4, "x", "8");
    story
}

fn of(story: &Story) -> Vec<(u64, ReadWindow)> {
    windows(&story.header, &story.events, &story.history).into_iter().collect()
}

#[test]
fn a_deposed_leader_has_a_window_until_its_lease_must_have_run_out() {
    let mut story = deposed();
    story.get(Mode::Default, "7", 2, (2300, 2400));
    story.at(2350).served(N1, 2, 2, 1);
    let window = ReadWindow { deposed: true, not_older_than_index: 2, widen_from: 1000 * MS };
    assert_eq!(of(&story), [(2, window)]);
    let all = windows(&story.header, &story.events, &story.history);
    assert_eq!(stale_reads(&story.evidence(), &all), [2400 * MS]);
    assert!(story.outcome().seen.contains(&"stale-read".to_owned()));

    let mut late = deposed();
    late.get(Mode::Default, "7", 2, (4300, 4400));
    late.at(4350).served(N1, 2, 2, 1);
    assert_eq!(of(&late), []);
}

#[test]
fn time_spent_paused_does_not_use_up_the_lease() {
    let mut story = deposed();
    story.at(2200).push(N1, What::Paused);
    story.get(Mode::Default, "7", 2, (4300, 4400));
    story.at(4340).push(N1, What::Resumed);
    story.at(4350).served(N1, 2, 2, 1);
    assert_eq!(of(&story).len(), 1);
}

#[test]
fn only_default_reads_of_a_leader_that_is_too_old_are_excused() {
    // The new leader answers; another mode; a read that the trace does not show; another index.
    let mut proper = deposed();
    proper.get(Mode::Default, "8", 4, (2300, 2400));
    proper.at(2350).served(N2, 4, 4, 2);
    assert_eq!(of(&proper), []);

    let mut consistent = deposed();
    consistent.get(Mode::Consistent, "7", 2, (2300, 2400));
    consistent.at(2350).served(N1, 2, 2, 1);
    assert_eq!(of(&consistent), []);

    let mut unseen = deposed();
    unseen.get(Mode::Default, "7", 2, (2300, 2400));
    unseen.at(2450).served(N1, 2, 2, 1);
    assert_eq!(of(&unseen), []);

    let mut other = deposed();
    other.get(Mode::Default, "7", 2, (2300, 2400));
    other.at(2350).served(N1, 1, 2, 1);
    assert_eq!(of(&other), []);
}

#[test]
fn a_fresh_leader_has_a_window_until_it_has_applied_what_it_inherited() {
    let mut story = Story::led();
    story.put("7", (900, 1100));
    // n1 alone knows that entry 2 is committed when it dies.
    story.at(1000).replicate(&[N1, N2, N3], &[entry(2, 1)]).commits(N1, 2);
    story.applies(N1, entry(2, 1)).wrote(N1, 2, "x", "7");
    story.at(1200).kill(N1).at(2000).wins(N2, 2).replicate(&[N2], &[entry(3, 2)]);
    story.get(Mode::Default, "6", 1, (2010, 2020));
    story.at(2015).served(N2, 1, 1, 2);
    story.get(Mode::Default, "7", 2, (2100, 2120));
    story.at(2110).served(N2, 2, 2, 2);
    let window = ReadWindow { deposed: false, not_older_than_index: 1, widen_from: 0 };
    assert_eq!(of(&story), [(1, window)]);
}
