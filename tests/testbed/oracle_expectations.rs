//! `[[expect]]`, `violates`, `skip`, and the script's own failures.

use proconsul::base::Duration;
use sim_runner::property::Verdict;
use sim_runner::scenario::model::{
    Action, Comparison, Condition, EventPattern, Expect, Fact, Moment, Number, Rule, State, Step,
    Trigger,
};
use sim_runner::trace::event::What;

use crate::oracle_story::{N1, N2, N3, Story, TESTBED};

fn one_leader() -> Fact {
    Fact::Condition(Condition::State(State::OneLeader))
}

fn no_leader() -> Fact {
    Fact::Condition(Condition::State(State::NoLeader))
}

fn event(pattern: EventPattern) -> Fact {
    Fact::Event(pattern)
}

fn expect(rule: Rule) -> Expect {
    Expect {
        place: "a.toml:9".to_owned(),
        text: "it".to_owned(),
        rule,
        within: None,
        of: None,
        between: None,
        at_least: None,
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn within(mut expect: Expect, from: u64, to: u64) -> Expect {
    expect.within = Some((ms(from), ms(to)));
    expect
}

fn between(mut expect: Expect, from: Moment, to: Moment) -> Expect {
    expect.between = Some((from, to));
    expect
}

/// Step 0 kills the leader n1 at 10 s and finishes; n2 leads from 14 s; n1 is back at 20 s.
fn story() -> Story {
    let mut story = Story::led();
    story.at(10_000).step(0, "kill", &[N1]).kill(N1);
    story.push(TESTBED, What::StepFinished { step: 0 });
    story.at(12_000).names(N2, None).names(N3, None);
    story.at(14_000).wins(N2, 2).names(N2, Some(N2)).names(N3, Some(N2));
    story.at(20_000).start(N1, 1, None, &[crate::oracle_story::entry(1, 1)]);
    story.names(N1, Some(N2)).settled();
    story
}

/// Signatures with only this expectation.
fn judged(expect: Expect) -> Vec<String> {
    let mut story = story();
    story.expect(expect);
    story.signatures()
}

fn met(expect: Expect) {
    assert_eq!(judged(expect), Vec::<String>::new());
}

fn missed(expect: Expect, signature: &str) {
    assert_eq!(judged(expect), [signature]);
}

#[test]
fn eventually_with_deadlines_windows_and_spans() {
    met(expect(Rule::Eventually(one_leader())));
    let after_kill = |mut expect: Expect| {
        expect.of = Some(0);
        expect
    };
    met(after_kill(within(expect(Rule::Eventually(one_leader())), 0, 4000)));
    missed(
        after_kill(within(expect(Rule::Eventually(one_leader())), 0, 3999)),
        "script: expected eventually it",
    );
    met(after_kill(within(expect(Rule::Eventually(no_leader())), 2000, 3000)));
    missed(
        after_kill(within(expect(Rule::Eventually(no_leader())), 4000, 8000)),
        "script: expected eventually it",
    );
    let lasting = |span| {
        let mut lasting = expect(Rule::Eventually(no_leader()));
        lasting.at_least = Some(ms(span));
        lasting
    };
    met(lasting(2000));
    missed(lasting(2001), "script: expected eventually it");
}

#[test]
fn always_and_never() {
    missed(expect(Rule::Always(one_leader())), "script: expected always it");
    let quiet = |rule| between(expect(rule), Moment::At(ms(0)), Moment::At(ms(9999)));
    met(quiet(Rule::Always(one_leader())));
    met(quiet(Rule::Never(no_leader())));
    missed(expect(Rule::Never(no_leader())), "script: expected never it");
    missed(expect(Rule::Never(event(EventPattern::LeaderLost))), "script: expected never it");
    met(expect(Rule::Never(event(EventPattern::StepDown))));
    let since_kill = between(
        expect(Rule::Never(event(EventPattern::LeaderLost))),
        Moment::At(ms(10_001)),
        Moment::At(ms(60_000)),
    );
    met(since_kill);
}

#[test]
fn seen_sometimes_in_order_and_at_end() {
    met(expect(Rule::Seen(event(EventPattern::LeaderChange))));
    missed(expect(Rule::Seen(event(EventPattern::LogTruncated))), "script: expected seen it");
    met(expect(Rule::AtEnd(one_leader())));
    missed(expect(Rule::AtEnd(no_leader())), "script: expected at_end it");
    use EventPattern::{LeaderChange, LeaderElected, LeaderLost};
    met(expect(Rule::InOrder(vec![LeaderLost, LeaderElected, LeaderChange])));
    missed(expect(Rule::InOrder(vec![LeaderChange, LeaderLost])), "script: expected in_order it");

    let mut story = story();
    story.expect(expect(Rule::Sometimes(event(LeaderChange))));
    story.expect(expect(Rule::Sometimes(event(EventPattern::StepDown))));
    let outcome = story.outcome();
    assert_eq!(outcome.sometimes, [("it".to_owned(), true), ("it".to_owned(), false)]);
    assert_eq!(outcome.seen, ["leader-elected", "leader-lost", "leader-change"]);
    story.assert_accepted();
}

#[test]
fn counts_are_those_of_the_window() {
    let count = |n| {
        let elected = Number::Count(EventPattern::LeaderElected);
        Rule::AtEnd(Fact::Condition(Condition::Compare(elected, Comparison::Equal, n)))
    };
    met(expect(count(2)));
    met(between(expect(count(1)), Moment::Step(0), Moment::At(ms(60_000))));
}

#[test]
fn an_expectation_whose_step_never_came_is_missed_unless_the_step_was_optional() {
    let mut of_nothing = expect(Rule::Eventually(one_leader()));
    of_nothing.of = Some(7);
    missed(of_nothing.clone(), "script: expected eventually it");
    let mut story = story();
    story.events.insert(0, story.events[0].clone());
    story.events[0].what = What::StepSkipped { step: 7 };
    story.expect(of_nothing);
    story.assert_accepted();
}

#[test]
fn violates_turns_a_violation_into_what_was_expected() {
    let violates = || expect(Rule::Violates("election-safety".to_owned()));
    missed(violates(), "script: expected violates election-safety");

    let mut story = Story::led();
    story.at(1000).wins(N2, 1).settled().expect(violates());
    assert_eq!(story.judgement("election-safety").verdict, Verdict::Expected);
    assert_eq!(story.judgement("script").verdict, Verdict::Holds);
}

#[test]
fn skip_says_why() {
    let because = "it is another matter".to_owned();
    let mut story = Story::led();
    story.at(1000).wins(N2, 1).settled();
    let property = "election-safety".to_owned();
    story.expect(expect(Rule::Skip { property, because: because.clone() }));
    let judgement = story.judgement("election-safety");
    assert_eq!((judgement.verdict, judgement.because), (Verdict::Skipped, Some(because)));
    story.assert_accepted();
}

fn note(id: &str) -> Step {
    Step {
        id: id.to_owned(),
        chaos: false,
        place: "a.toml:3".to_owned(),
        parent: None,
        trigger: Trigger::Previous,
        when: None,
        within: ms(60_000),
        repeat: None,
        undo_after: None,
        optional: false,
        action: Action::Note { text: String::new() },
    }
}

#[test]
fn script_catches_failed_and_unfinished_steps() {
    let mut failed = Story::led();
    failed.planned(note("a")).planned(note("b")).step(0, "http", &[N1]);
    let message = "expected status 200, found 500".to_owned();
    failed.push(TESTBED, What::StepFailed { step: 0, id: "a".to_owned(), message });
    failed.settled();
    assert_eq!(failed.signatures(), ["script: http: expected status N, found N"]);

    let mut unfinished = Story::led();
    unfinished.planned(note("a")).planned(note("b")).step(0, "note", &[]);
    unfinished.push(TESTBED, What::StepFinished { step: 0 });
    let mut skipped = unfinished.clone();
    let mut open_ended = unfinished.clone();
    unfinished.settled();
    assert_eq!(unfinished.signatures(), ["script: the script is unfinished"]);
    skipped.push(TESTBED, What::StepSkipped { step: 1 }).settled();
    skipped.assert_accepted();
    open_ended.plan.time.run_is_explicit = false;
    open_ended.settled();
    open_ended.assert_accepted();
}
