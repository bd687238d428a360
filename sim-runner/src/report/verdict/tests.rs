//! The JSON objects, key by key, and the order of exit codes.

use super::*;

fn judgement(property: &str, verdict: Verdict, violations: Vec<Violation>) -> Judgement {
    Judgement { property: property.into(), verdict, judged: 7, because: None, violations }
}

fn violation(property: &str, at: i64, fact: &str) -> Violation {
    Violation {
        property: property.into(),
        at,
        summary: format!("{property} broke"),
        signature: format!("{property}: {fact}"),
        operations: vec![],
        events: vec![],
        detail: vec![],
    }
}

fn run(seed: &str, judgements: Vec<Judgement>) -> RunResult {
    RunResult {
        title: "Leader loss".into(),
        story: None,
        scenario: "scenarios/leader_loss.toml".into(),
        seed: seed.into(),
        plant: None,
        verdict: RunVerdict::of(&judgements),
        trace: "0123456789abcdef0123456789abcdef".into(),
        replayed: true,
        virtual_s: 63.5,
        wall_s: 0.125,
        speed: 480.04,
        events: 12,
        operations: OperationTally { ok: 3, fail: 2, unknown: 1 },
        reads: ReadTally { default: 2, consistent: 1, stale: 0, in_window: 1 },
        judgements,
        seen: vec!["leader-elected".into()],
        report: None,
        reproduce: format!("sim-runner scenarios/leader_loss.toml --seed {seed}"),
        notes: vec![],
        sometimes: vec![],
        first_difference: None,
    }
}

#[test]
fn the_object_has_exactly_the_promised_keys_in_order() {
    let judgements = vec![
        judgement("boot", Verdict::Holds, vec![]),
        judgement(
            "durability",
            Verdict::Violated,
            vec![violation("durability", 21_310_000_000, "x")],
        ),
        judgement("liveness", Verdict::Expected, vec![violation("liveness", -5, "no leader")]),
    ];
    let line = VerdictObject::of(&run("42", judgements)).to_line();
    assert_eq!(
        line,
        concat!(
            r#"{"scenario":"scenarios/leader_loss.toml","seed":"42","verdict":"violated","#,
            r#""trace":"0123456789abcdef0123456789abcdef","replayed":true,"virtual_s":63.5,"#,
            r#""wall_s":0.125,"speed":480.0,"events":12,"#,
            r#""operations":{"ok":3,"fail":2,"unknown":1},"#,
            r#""reads":{"default":2,"consistent":1,"stale":0,"in_window":1},"#,
            r#""properties":[{"name":"boot","verdict":"holds","judged":7},"#,
            r#"{"name":"durability","verdict":"violated","judged":7},"#,
            r#"{"name":"liveness","verdict":"expected","judged":7}],"#,
            r#""violations":[{"property":"durability","at_s":21.31,"summary":"durability broke","#,
            r#""signature":"durability: x"}],"#,
            r#""expected":[{"property":"liveness","at_s":-5e-9,"summary":"liveness broke","#,
            r#""signature":"liveness: no leader"}],"#,
            r#""seen":["leader-elected"],"report":null,"#,
            r#""reproduce":"sim-runner scenarios/leader_loss.toml --seed 42"}"#,
        )
    );
}

#[test]
fn the_object_reads_back_and_the_file_is_the_same_object() {
    let object = VerdictObject::of(&run("0x2a", vec![judgement("boot", Verdict::Holds, vec![])]));
    assert_eq!(serde_json::from_str::<VerdictObject>(&object.to_line()).unwrap(), object);
    assert_eq!(serde_json::from_str::<VerdictObject>(&object.to_file()).unwrap(), object);
}

#[test]
fn numbers_that_are_not_finite_become_zero() {
    let mut unmeasured = run("1", vec![]);
    unmeasured.speed = f64::INFINITY;
    unmeasured.wall_s = f64::NAN;
    let line = VerdictObject::of(&unmeasured).to_line();
    assert!(line.contains(r#""wall_s":0.0,"speed":0.0"#), "{line}");
}

#[test]
fn the_first_that_applies_decides() {
    let of = |pairs: &[(&str, Verdict)]| {
        let judgements: Vec<_> = pairs.iter().map(|&(p, v)| judgement(p, v, vec![])).collect();
        RunVerdict::of(&judgements)
    };
    use Verdict::{Expected, Holds, Skipped, Undecided, Violated};
    assert_eq!(of(&[]), RunVerdict::Holds);
    assert_eq!(of(&[("a", Holds), ("b", Skipped), ("c", Expected)]), RunVerdict::Holds);
    assert_eq!(of(&[("a", Undecided), ("b", Holds)]), RunVerdict::Undecided);
    assert_eq!(of(&[("a", Undecided), ("b", Violated)]), RunVerdict::Violated);
    assert_eq!(of(&[("a", Violated), ("determinism", Violated)]), RunVerdict::Nondeterministic);
}

#[test]
fn exit_codes_rank_70_2_4_1_3_0() {
    assert_eq!(worst_exit_code([]), 0);
    assert_eq!(worst_exit_code([0, 3, 0]), 3);
    assert_eq!(worst_exit_code([3, 1, 0]), 1);
    assert_eq!(worst_exit_code([1, 4, 3]), 4);
    assert_eq!(worst_exit_code([4, 70, 1]), 70);
    assert_eq!(worst_exit_code([0, 139]), 70, "a worker that crashed");
    let all = [
        (RunVerdict::Holds, 0),
        (RunVerdict::Violated, 1),
        (RunVerdict::Undecided, 3),
        (RunVerdict::Nondeterministic, 4),
    ];
    for (verdict, code) in all {
        assert_eq!(exit_code(verdict), code);
        assert_eq!(serde_json::to_string(&verdict).unwrap(), format!("\"{}\"", verdict.word()));
    }
}

#[test]
fn a_range_groups_runs_by_signature() {
    let lost = |at| violation("durability", at, "lost");
    let runs = [
        run("0", vec![judgement("boot", Verdict::Holds, vec![])]),
        run("1", vec![judgement("liveness", Verdict::Undecided, vec![])]),
        run("2", vec![judgement("durability", Verdict::Violated, vec![lost(1), lost(2)])]),
        run("3", vec![judgement("durability", Verdict::Violated, vec![lost(9)])]),
        run("4", vec![judgement("determinism", Verdict::Violated, vec![])]),
    ];
    let mut summary = RangeSummary::default();
    for run in &runs {
        summary.add(&VerdictObject::of(run));
    }
    assert_eq!(
        summary.to_line(),
        concat!(
            r#"{"runs":5,"holds":1,"violated":2,"undecided":1,"nondeterministic":1,"groups":["#,
            r#"{"signature":"durability: lost","property":"durability","count":2,"first_seed":"2","#,
            r#""reproduce":"sim-runner scenarios/leader_loss.toml --seed 2"},"#,
            r#"{"signature":"liveness: undecided","property":"liveness","count":1,"#,
            r#""first_seed":"1","reproduce":"sim-runner scenarios/leader_loss.toml --seed 1"}]}"#,
        )
    );
}
