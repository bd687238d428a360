//! Small histories by hand: each promise kept and broken, and the words for it.

use sim_runner::checker::linearizable::{
    Budget, Evidence, LinearizableReport, ReadWindow, WindowKind, check,
};
use sim_runner::history::operation::{Call, Mode, Operation, Outcome, Output, Seen};
use sim_runner::history::{History, Recorder};
use sim_runner::property::Verdict;

const S: i64 = 1_000_000_000;

/// A history under construction; times in seconds.
#[derive(Default)]
struct Story {
    recorder: Recorder,
    open: Vec<(i64, i64, String, Operation)>,
}

impl Story {
    fn add(
        &mut self,
        user: &str,
        server: &str,
        key: &str,
        call: Call,
        at: (i64, i64),
    ) -> &mut Operation {
        let operation = Operation {
            id: 0,
            client: 0,
            user: user.to_owned(),
            server: server.to_owned(),
            key: key.to_owned(),
            call,
            called_at: at.0,
            returned_at: Some(at.1),
            outcome: Outcome::Ok,
            output: Some(Output::Done),
            index: None,
            error: None,
        };
        self.open.push((at.0, at.1, user.to_owned(), operation));
        &mut self.open.last_mut().expect("just added").3
    }

    fn put(&mut self, user: &str, value: &str, at: (i64, i64)) -> &mut Operation {
        self.add(user, "n1", "x", Call::Put { value: value.to_owned() }, at)
    }

    fn get(
        &mut self,
        user: &str,
        mode: Mode,
        saw: Option<(&str, u64)>,
        at: (i64, i64),
    ) -> &mut Operation {
        let operation = self.add(user, "n1", "x", Call::Get { mode }, at);
        operation.output = Some(Output::Value(saw.map(|(value, index)| seen("x", value, index))));
        operation
    }

    fn cas(&mut self, user: &str, index: u64, value: &str, held: bool, at: (i64, i64)) {
        let call = Call::CasIndex { index, value: value.to_owned() };
        self.add(user, "n1", "x", call, at).output = Some(Output::Swapped(held));
    }

    fn list(&mut self, mode: Mode, saw: &[(&str, &str, u64)], at: (i64, i64)) -> &mut Operation {
        let operation = self.add("lister", "n1", "", Call::List { mode }, at);
        let rows = saw.iter().map(|(key, value, index)| seen(key, value, *index));
        operation.output = Some(Output::Values(rows.collect()));
        operation
    }

    fn history(&mut self) -> History {
        let mut events: Vec<(i64, bool, usize)> = Vec::new();
        for (place, (call, ret, ..)) in self.open.iter().enumerate() {
            events.extend([(*call, false, place), (*ret, true, place)]);
        }
        events.sort_unstable();
        let mut ids = vec![0; self.open.len()];
        for (at, ends, place) in events {
            let (.., user, it) = &self.open[place];
            if ends {
                let it = it.clone();
                self.recorder.complete(
                    ids[place],
                    at * S,
                    it.outcome,
                    it.output,
                    it.index,
                    it.error,
                );
            } else {
                ids[place] =
                    self.recorder.invoke(user, &it.server, &it.key, it.call.clone(), at * S);
            }
        }
        self.open.clear();
        std::mem::take(&mut self.recorder).finish()
    }

    fn judge(&mut self) -> LinearizableReport {
        check(&self.history(), &Evidence::none(), Budget::default())
    }

    /// The signature after the property's name, and the sentence, of the only violation.
    fn violation(&mut self) -> (String, String) {
        let report = self.judge();
        let [violation] = &report.judgement.violations[..] else { panic!("one: {report:#?}") };
        let fact = violation.signature.strip_prefix("linearizable: ").expect("the property");
        (fact.to_owned(), violation.summary.clone())
    }
}

fn seen(key: &str, value: &str, index: u64) -> Seen {
    Seen { key: key.to_owned(), value: value.to_owned(), modify_index: Some(index) }
}

fn story() -> Story {
    let mut story = Story::default();
    story.put("u1", "a", (1, 2));
    story
}

const STRICT: Mode = Mode::Consistent;

#[test]
fn a_stale_read_is_told_with_what_it_missed() {
    let mut story = story();
    story.put("u2", "b", (3, 4));
    story.get("u3", STRICT, Some(("b", 7)), (5, 6));
    story.get("u4", STRICT, Some(("a", 5)), (7, 8));
    let (fact, text) = story.violation();
    assert_eq!(fact, "stale read");
    assert_eq!(
        text,
        "u4 read x = \"a\" at 8.000000 s, but the put of x = \"b\" by u2 had been acknowledged at \
         4.000000 s."
    );
}

#[test]
fn a_write_nobody_ever_sees_is_lost() {
    let mut story = story();
    story.put("u2", "b", (3, 4));
    story.get("u4", STRICT, Some(("a", 5)), (7, 8));
    story.get("u4", STRICT, Some(("a", 5)), (9, 10));
    assert_eq!(story.violation().0, "lost write");
}

#[test]
fn a_deleted_value_does_not_come_back() {
    let mut story = story();
    story.add("u2", "n1", "x", Call::Delete, (3, 4));
    story.get("u4", STRICT, Some(("a", 5)), (7, 8));
    assert_eq!(story.violation().0, "deleted value came back");
}

#[test]
fn reads_may_not_go_back_even_when_no_write_was_acknowledged() {
    let mut story = story();
    story.put("u2", "b", (3, 20));
    story.get("u3", STRICT, Some(("b", 7)), (5, 6));
    story.get("u4", STRICT, Some(("a", 5)), (7, 8));
    let (fact, text) = story.violation();
    assert_eq!(fact, "stale read");
    assert!(text.contains("u3 had read \"b\" already at 6.000000 s"), "{text}");
}

#[test]
fn values_come_from_writes_that_did_not_fail_and_had_begun() {
    for mode in [Mode::Stale, Mode::Default, STRICT] {
        let mut nowhere = story();
        nowhere.get("u2", mode, Some(("z", 9)), (3, 4));
        assert_eq!(nowhere.violation().0, "read from nowhere");
        let mut dirty = story();
        dirty.put("u2", "b", (3, 4)).outcome = Outcome::Fail;
        dirty.get("u3", mode, Some(("b", 9)), (5, 6));
        assert_eq!(dirty.violation().0, "dirty read");
        let mut future = story();
        future.get("u3", mode, Some(("b", 9)), (3, 4));
        future.put("u2", "b", (5, 6));
        assert_eq!(future.violation().0, "read from the future");
    }
}

#[test]
fn one_version_has_one_value_and_one_successor() {
    let mut two = story();
    two.put("u2", "b", (1, 2));
    two.get("u3", STRICT, Some(("a", 9)), (3, 4));
    two.get("u3", Mode::Stale, Some(("b", 9)), (5, 6));
    assert_eq!(two.violation().0, "one version with two values");
    let mut double = story();
    double.get("u2", STRICT, Some(("a", 5)), (2, 3));
    double.cas("u2", 5, "b", true, (4, 6));
    double.cas("u3", 5, "c", true, (4, 7));
    let (fact, text) = double.violation();
    assert_eq!(fact, "double cas");
    assert!(text.starts_with("two compare-and-sets both replaced version 5 of x"), "{text}");
}

#[test]
fn a_refused_cas_is_an_observation() {
    let mut refused = story();
    refused.get("u2", STRICT, Some(("a", 5)), (3, 4));
    refused.cas("u2", 5, "b", false, (5, 6));
    refused.get("u2", STRICT, Some(("a", 5)), (7, 8));
    assert_eq!(refused.violation().0, "cas refused without cause");
}

#[test]
fn a_cas_holds_only_on_its_version() {
    let mut story = story();
    story.get("u2", STRICT, Some(("a", 5)), (3, 4));
    story.put("u2", "b", (5, 6));
    story.get("u2", STRICT, Some(("b", 6)), (7, 8));
    story.cas("u2", 5, "c", true, (9, 10));
    assert_eq!(story.violation().0, "cas of a value that was not there");
}

#[test]
fn unknown_writes_happen_late_or_never() {
    for (value, index) in [("a", 5), ("b", 6)] {
        let mut story = story();
        story.put("u2", "b", (3, 4)).outcome = Outcome::Unknown;
        story.get("u3", STRICT, Some(("a", 5)), (5, 6));
        story.get("u3", STRICT, Some((value, index)), (7, 8));
        assert_eq!(story.judge().judgement.verdict, Verdict::Holds);
    }
}

#[test]
fn equal_times_are_concurrent() {
    let mut story = story();
    story.get("u2", STRICT, None, (2, 2));
    assert_eq!(story.judge().judgement.verdict, Verdict::Holds);
    story.put("u1", "a", (1, 2));
    story.get("u2", STRICT, None, (3, 3));
    assert_eq!(story.judge().judgement.verdict, Verdict::Violated);
}

#[test]
fn indexes_follow_real_time() {
    // Values alone are fine: b then a, both before the reads. The indexes say a came first.
    let mut story = Story::default();
    story.put("u1", "b", (1, 2));
    story.put("u1", "a", (3, 4));
    story.add("u1", "n1", "y", Call::Put { value: "c".to_owned() }, (5, 6));
    story.get("u2", STRICT, Some(("a", 9)), (7, 8));
    let other = story.add("u2", "n1", "y", Call::Get { mode: STRICT }, (9, 10));
    other.output = Some(Output::Value(Some(seen("y", "c", 5))));
    assert_eq!(story.violation().0, "indexes against real time");
}

#[test]
fn a_list_shows_one_instant() {
    let mut story = story();
    story.add("u1", "n1", "y", Call::Put { value: "p".to_owned() }, (3, 4));
    story.put("u1", "b", (5, 20));
    story.add("u1b", "n1", "y", Call::Put { value: "q".to_owned() }, (6, 21));
    story.get("u2", STRICT, Some(("b", 7)), (22, 23));
    story.list(STRICT, &[("x", "a", 5), ("y", "q", 8)], (5, 22));
    assert_eq!(story.violation().0, "fractured list");
    let mut missing = self::story();
    missing.list(STRICT, &[], (3, 4));
    assert_eq!(missing.judge().judgement.verdict, Verdict::Violated);
}

/// An acknowledged write is missed by a read of this mode.
fn late(mode: Mode) -> Story {
    let mut story = story();
    story.put("u2", "b", (3, 4));
    story.get("u3", STRICT, Some(("b", 7)), (5, 6));
    story.get("u4", mode, Some(("a", 5)), (7, 8));
    story
}

#[test]
fn a_window_excuses_default_reads_and_nothing_else() {
    let window = |widen_from: i64, applied: u64| {
        move |_: &Operation| {
            Some(ReadWindow {
                kind: WindowKind::Deposed,
                not_older_than_index: applied,
                widen_from: widen_from * S,
            })
        }
    };
    let judged = |mode: Mode, window: &dyn Fn(&Operation) -> Option<ReadWindow>| {
        let evidence = Evidence { window, life: &|_, _| 0 };
        check(&late(mode).history(), &evidence, Budget::default())
    };
    let excused = judged(Mode::Default, &window(3, 5));
    assert_eq!(excused.judgement.verdict, Verdict::Holds, "{excused:#?}");
    assert_eq!((excused.stale_reads.as_slice(), excused.reads.in_window), (&[3][..], 1));
    // The window opens after the missed write was acknowledged.
    assert_eq!(judged(Mode::Default, &window(5, 5)).judgement.verdict, Verdict::Violated);
    // The server had applied the missed write itself.
    let behind = judged(Mode::Default, &window(3, 7));
    let signature = &behind.judgement.violations[0].signature;
    assert_eq!(signature, "linearizable: read older than the server's own state");
    assert_eq!(judged(STRICT, &window(0, 0)).judgement.verdict, Verdict::Violated);
    assert_eq!(judged(Mode::Default, &|_| None).judgement.verdict, Verdict::Violated);
}

#[test]
fn a_read_in_a_window_that_missed_nothing_is_not_counted_stale() {
    let mut story = story();
    story.get("u2", Mode::Default, Some(("a", 5)), (3, 4));
    let all = |_: &Operation| {
        Some(ReadWindow { kind: WindowKind::Fresh, not_older_than_index: 0, widen_from: 0 })
    };
    let evidence = Evidence { window: &all, life: &|_, _| 0 };
    let report = check(&story.history(), &evidence, Budget::default());
    assert_eq!((report.stale_reads.len(), report.reads.in_window), (0, 1));
}

#[test]
fn stale_reads_may_be_old_but_do_not_go_back_on_one_server() {
    assert_eq!(late(Mode::Stale).judge().judgement.verdict, Verdict::Holds);
    let mut story = late(Mode::Stale);
    story.get("u5", Mode::Stale, Some(("b", 7)), (9, 10));
    story.get("u6", Mode::Stale, Some(("a", 5)), (11, 12));
    let history = story.history();
    let judged = |life: &dyn Fn(&str, i64) -> u64| {
        check(&history, &Evidence { window: &|_| None, life }, Budget::default()).judgement
    };
    let violated = judged(&|_, _| 0);
    assert_eq!(violated.violations[0].signature, "linearizable: server went back");
    assert!(violated.violations[0].summary.starts_with("n1 answered"), "{violated:#?}");
    // It was restarted in between.
    assert_eq!(judged(&|_, at| u64::from(at > 10 * S)).verdict, Verdict::Holds);
}

#[test]
fn a_stale_read_does_not_show_what_was_absent_before() {
    let mut story = story();
    story.get("u2", Mode::Stale, None, (3, 4)).index = Some(9);
    story.get("u3", Mode::Stale, Some(("a", 5)), (5, 6));
    let history = story.history();
    let evidence = Evidence { window: &|_| None, life: &|_, _| 0 };
    let judgement = check(&history, &evidence, Budget::default()).judgement;
    assert_eq!(judgement.violations[0].signature, "linearizable: server went back");
}

#[test]
fn growing_values_hold_all_that_was_appended() {
    let mut story = Story::default();
    let append = |token: &str| Call::Append { value: token.to_owned() };
    story.add("u1", "", "x", append("p"), (1, 2));
    story.add("u2", "", "x", append("q"), (1, 3));
    let read = |story: &mut Story, value: &str, at| {
        let operation = story.add("u3", "", "x", Call::Get { mode: STRICT }, at);
        operation.output = Some(Output::Value(Some(Seen {
            key: "x".to_owned(),
            value: value.to_owned(),
            modify_index: None,
        })));
    };
    read(&mut story, "", (0, 1));
    read(&mut story, "qp", (4, 5));
    let good = story.history();
    assert_eq!(
        check(&good, &Evidence::none(), Budget::default()).judgement.verdict,
        Verdict::Holds
    );
    let mut operations = good.operations().to_vec();
    let last = operations.last_mut().expect("a read");
    last.output = Some(Output::Value(Some(Seen {
        key: "x".to_owned(),
        value: "q".to_owned(),
        modify_index: None,
    })));
    let judged = check(&History::new(operations), &Evidence::none(), Budget::default());
    assert_eq!(judged.judgement.verdict, Verdict::Violated);
}
