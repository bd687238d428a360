//! `user-events`: what a list may hold, and what not.

use sim_runner::history::History;
use sim_runner::history::file;
use sim_runner::history::operation::{Call, Outcome, Output, Seen};
use sim_runner::property::Verdict;

use crate::oracle_story::Story;

fn fire(story: &mut Story, name: &str, payload: &str, span: (i64, i64)) {
    let call = Call::Fire { payload: payload.to_owned() };
    story.operation(call, Output::Done, span, None);
    story.history.last_mut().expect("it was added").key = name.to_owned();
}

fn list(story: &mut Story, events: &[(&str, &str)], span: (i64, i64)) {
    let seen = |(name, payload): &(&str, &str)| Seen {
        key: (*name).to_owned(),
        value: (*payload).to_owned(),
        modify_index: None,
    };
    let output = Output::Values(events.iter().map(seen).collect());
    story.operation(Call::Events { index: 0 }, output, span, Some(7));
    story.history.last_mut().expect("it was added").key.clear();
}

fn fired() -> Story {
    let mut story = Story::led();
    fire(&mut story, "u1-1", "a", (1000, 1100));
    fire(&mut story, "u1-2", "b", (1200, 1300));
    story
}

#[test]
fn events_may_be_late_lost_and_in_any_order() {
    let mut story = fired();
    list(&mut story, &[], (1400, 1500));
    list(&mut story, &[("u1-2", "b")], (1600, 1700));
    list(&mut story, &[("u1-2", "b"), ("u1-1", "a"), ("by-hand", "x")], (1800, 1900));
    // Listed while it is still being fired, by whoever does not know yet that it was.
    fire(&mut story, "u1-3", "c", (2000, 2400));
    story.history.last_mut().expect("it was added").outcome = Outcome::Unknown;
    list(&mut story, &[("u1-3", "c")], (2100, 2200));
    let judgement = story.judgement("user-events");
    assert_eq!((judgement.verdict, judgement.judged), (Verdict::Holds, 4));
}

#[test]
fn what_nobody_fired_changed_or_comes_twice_is_caught() {
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[("u1-9", "a")], "an event that nobody fired"),
        (&[("u1-1", "b")], "an event with another payload"),
        (&[("u1-1", "a"), ("u1-1", "a")], "an event twice in one list"),
        (&[("u1-3", "c")], "an event before it was fired"),
    ];
    for (events, fact) in cases {
        let mut story = fired();
        list(&mut story, events, (1400, 1500));
        fire(&mut story, "u1-3", "c", (2000, 2100));
        story.assert_caught(&format!("user-events: {fact}"));
    }
    let mut story = fired();
    list(&mut story, &[("u1-1", "a")], (1400, 1500));
    story.history[0].outcome = Outcome::Fail;
    story.assert_caught("user-events: an event that nobody fired");
}

#[test]
fn without_events_nothing_is_judged() {
    assert_eq!(Story::led().judgement("user-events").verdict, Verdict::Skipped);
}

#[test]
fn histories_of_events_come_back_from_their_files() {
    let mut story = fired();
    list(&mut story, &[("u1-1", "a"), ("u1-1", "a")], (1400, 1500));
    let history = History::new(story.history);
    let text = file::write(&history);
    assert_eq!(file::read("history.jsonl", text.as_bytes()), Ok(history), "{text}");
}
