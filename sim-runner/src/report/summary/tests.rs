//! The summaries, whole: what a person sees is the behaviour.

use super::*;
use crate::report::verdict::Group;
use crate::report::{OperationTally, ReadTally};

fn judgement(property: &str, verdict: Verdict, judged: u64, because: Option<&str>) -> Judgement {
    let violated = verdict == Verdict::Violated;
    Judgement {
        property: property.into(),
        verdict,
        judged,
        because: because.map(str::to_owned),
        violations: if violated { vec![violation(property)] } else { vec![] },
    }
}

fn violation(property: &str) -> Violation {
    Violation {
        property: property.into(),
        at: 31_310_400_000,
        summary: "user u3 read k2 = \"17\" after \"18\" had been acknowledged".into(),
        signature: format!("{property}: stale consistent read"),
        operations: vec![1, 2],
        events: vec![],
        detail: vec![],
    }
}

fn run(judgements: Vec<Judgement>) -> RunResult {
    RunResult {
        title: "Leader loss".into(),
        story: None,
        scenario: "scenarios/leader_loss.toml".into(),
        seed: "42".into(),
        plant: None,
        verdict: RunVerdict::of(&judgements),
        trace: "0123456789abcdef0123456789abcdef".into(),
        replayed: true,
        virtual_s: 63.52,
        wall_s: 0.1251,
        speed: 1479.6,
        events: 101_204,
        operations: OperationTally { ok: 1100, fail: 60, unknown: 44 },
        reads: ReadTally { default: 300, consistent: 200, stale: 100, in_window: 2 },
        judgements,
        seen: vec![],
        report: Some("reports/leader_loss-42/report.html".into()),
        reproduce: "sim-runner scenarios/leader_loss.toml --seed 42".into(),
        notes: vec!["settle = 0s: liveness not judged".into()],
        sometimes: vec![],
        first_difference: None,
    }
}

#[test]
fn a_run_that_holds() {
    let judgements = vec![
        judgement("linearizable", Verdict::Holds, 1204, None),
        judgement("liveness", Verdict::Skipped, 0, Some("settle = 0s")),
    ];
    let expected = "\
HOLDS  Leader loss, seed 42

property      verdict  judged
linearizable  holds     1,204
liveness      skipped       0  settle = 0s

operations  1,204: 1,100 ok, 60 fail, 44 unknown
reads       300 default (2 in a window), 200 consistent, 100 stale
trace       0123456789abcdef0123456789abcdef over 101,204 events, replayed in a fresh process: equal
speed       1,480 virtual s per wall s; 63.5 virtual s in 0.125 s with boot and settle
note        settle = 0s: liveness not judged
report      reports/leader_loss-42/report.html
reproduce   sim-runner scenarios/leader_loss.toml --seed 42
";
    assert_eq!(of_run(&run(judgements), Style::Plain), expected);
}

#[test]
fn a_violation_is_told_before_the_table() {
    let judgements = vec![judgement("linearizable", Verdict::Violated, 1204, None)];
    let text = of_run(&run(judgements), Style::Plain);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("VIOLATED  Leader loss, seed 42"));
    assert_eq!(
        lines.next(),
        Some(
            "linearizable: user u3 read k2 = \"17\" after \"18\" had been acknowledged (at 31.310 s)"
        )
    );
}

#[test]
fn two_executions_that_part_are_shown_side_by_side() {
    let mut run = run(vec![judgement("determinism", Verdict::Violated, 2, None)]);
    run.first_difference =
        Some(FirstDifference { index: 4711, first: Some("n1 commit 7".into()), second: None });
    let text = of_run(&run, Style::Plain);
    assert!(text.starts_with("NOT DETERMINISTIC  "), "{text}");
    assert!(text.contains("part at event 4,711:\n    first   n1 commit 7\n"), "{text}");
    assert!(text.contains("    second  (the execution had ended)\n"), "{text}");
    assert!(text.contains("replayed in a fresh process: different"), "{text}");
}

#[test]
fn colour_adds_nothing_but_colour() {
    let judgements = vec![
        judgement("boot", Verdict::Undecided, 1, Some("the event budget ran out")),
        judgement("durability", Verdict::Violated, 5, None),
    ];
    let coloured = of_run(&run(judgements.clone()), Style::Colour);
    assert!(coloured.starts_with("\x1b[1;31mVIOLATED\x1b[0m  "), "{coloured}");
    let mut stripped = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\x1b') {
        stripped.push_str(before);
        rest = after.split_once('m').map_or("", |(_, text)| text);
    }
    stripped.push_str(rest);
    let trimmed: String = stripped.lines().flat_map(|line| [line.trim_end(), "\n"]).collect();
    assert_eq!(trimmed, of_run(&run(judgements), Style::Plain));
}

#[test]
fn values_cannot_drive_the_terminal() {
    let mut hostile = run(vec![]);
    hostile.title = "a\x1b[2Jb\nc".into();
    assert!(of_run(&hostile, Style::Plain).starts_with("HOLDS  a\\u{1b}[2Jb\\nc, seed 42\n"));
}

#[test]
fn a_range_lists_its_groups_with_a_command_each() {
    let range = RangeSummary {
        runs: 500,
        holds: 486,
        violated: 13,
        undecided: 1,
        nondeterministic: 0,
        groups: vec![Group {
            signature: "durability: acknowledged write lost".into(),
            property: "durability".into(),
            count: 13,
            first_seed: "17".into(),
            reproduce: "sim-runner a.toml --seed 17".into(),
        }],
    };
    let expected = "\
FAILURES  486 of 500 runs hold, 13 violated, 1 undecided

runs  first seed  signature
  13          17  durability: acknowledged write lost
    sim-runner a.toml --seed 17
";
    assert_eq!(of_range(&range, Style::Plain), expected);
    let clean = RangeSummary { runs: 500, holds: 500, ..RangeSummary::default() };
    assert_eq!(of_range(&clean, Style::Plain), "HOLDS  500 of 500 runs hold\n");
}
