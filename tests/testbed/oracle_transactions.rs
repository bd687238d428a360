//! `transactions`: all or nothing, and as if one after the other.

use sim_runner::history::History;
use sim_runner::history::file;
use sim_runner::history::operation::{Mode, Outcome};
use sim_runner::history::request::{Listed, Reply, Request, TxnOp, Verb};
use sim_runner::property::Verdict;

use crate::oracle_locks::{ask, unknown};
use crate::oracle_story::Story;

fn set(key: &str, value: &str) -> TxnOp {
    TxnOp { verb: Verb::Set, key: key.to_owned(), value: Some(value.to_owned()), index: None }
}

fn get(key: &str) -> TxnOp {
    TxnOp { verb: Verb::Get, key: key.to_owned(), value: None, index: None }
}

fn cas(key: &str, value: &str, index: u64) -> TxnOp {
    TxnOp { verb: Verb::Cas, index: Some(index), ..set(key, value) }
}

fn row(key: &str, value: &str, index: u64) -> Listed {
    Listed { key: key.to_owned(), value: Some(value.to_owned()), index }
}

fn made(key: &str, index: u64) -> Listed {
    Listed { key: key.to_owned(), value: None, index }
}

fn txn(story: &mut Story, ops: &[TxnOp], rows: &[Listed], span: (i64, i64)) {
    let request = Request::Txn { mode: Mode::Consistent, ops: ops.to_vec() };
    ask(story, ("u1", "txn/"), request, Reply::Committed(rows.to_vec()), span);
}

fn assert_holds(story: &Story) {
    let judgement = story.judgement("transactions");
    assert_eq!(judgement.verdict, Verdict::Holds, "{:?}", judgement.violations);
}

/// x and y at version 1.
fn begun() -> Story {
    let mut story = Story::led();
    let rows = [made("x", 1), made("y", 1)];
    txn(&mut story, &[set("x", "x1"), set("y", "y1")], &rows, (100, 110));
    story
}

#[test]
fn one_after_the_other_is_fine() {
    let mut story = begun();
    let rows = [row("x", "x1", 1), made("y", 2)];
    txn(&mut story, &[get("x"), set("y", "y2")], &rows, (120, 200));
    txn(&mut story, &[cas("x", "x3", 1)], &[made("x", 3)], (130, 190));
    let rows = [row("x", "x3", 3), row("y", "y2", 2)];
    txn(&mut story, &[get("x"), get("y")], &rows, (150, 210));
    // Its own write is what it sees.
    let rows = [made("x", 4), row("x", "x4", 4)];
    txn(&mut story, &[set("x", "x4"), get("x")], &rows, (220, 230));
    let tree = TxnOp { verb: Verb::GetTree, ..get("") };
    txn(&mut story, &[tree], &[row("x", "x4", 4), row("y", "y2", 2)], (240, 250));
    assert_holds(&story);
    assert_eq!(story.judgement("transactions").judged, 6);
}

#[test]
fn a_transaction_that_is_seen_in_part_is_caught() {
    let mut story = begun();
    let rows = [made("x", 2), made("y", 2)];
    txn(&mut story, &[set("x", "x2"), set("y", "y2")], &rows, (120, 200));
    let rows = [row("x", "x2", 2), row("y", "y1", 1)];
    txn(&mut story, &[get("x"), get("y")], &rows, (130, 190));
    story.assert_caught("transactions: a transaction seen in part");
    // The same of one of which its user knows nothing.
    unknown_at(&mut story, 1);
    let rows = [row("x", "x2", 2), row("y", "y2", 2)];
    txn(&mut story, &[get("x"), get("y")], &rows, (230, 290));
    story.assert_caught("transactions: a transaction seen in part");
}

fn unknown_at(story: &mut Story, place: usize) {
    let operation = &mut story.history[place];
    (operation.outcome, operation.output) = (Outcome::Unknown, None);
}

#[test]
fn one_that_may_have_happened_may_be_seen_at_any_time_or_never() {
    let mut story = begun();
    txn(&mut story, &[set("x", "x2"), set("y", "y2")], &[], (120, 200));
    unknown(&mut story);
    let rows = [row("x", "x1", 1), row("y", "y1", 1)];
    txn(&mut story, &[get("x"), get("y")], &rows, (300, 310));
    assert_holds(&story);
    let rows = [row("x", "x2", 9), row("y", "y2", 9)];
    txn(&mut story, &[get("x"), get("y")], &rows, (400, 410));
    assert_holds(&story);
    // At two versions it cannot have been made.
    let rows = [row("x", "x2", 9), row("y", "y2", 10)];
    txn(&mut story, &[get("x"), get("y")], &rows, (420, 430));
    story.assert_caught("transactions: a transaction at two indexes");
}

#[test]
fn what_was_rolled_back_or_overwritten_is_not_seen() {
    let mut story = begun();
    let request =
        Request::Txn { mode: Mode::Consistent, ops: vec![set("x", "x2"), cas("y", "y2", 7)] };
    let reply = Reply::RolledBack(vec![(1, "failed to set key \"y\", index is stale".to_owned())]);
    ask(&mut story, ("u1", "txn/"), request, reply, (120, 130));
    assert_holds(&story);
    txn(&mut story, &[get("x")], &[row("x", "x2", 2)], (140, 150));
    story.assert_caught("transactions: a value of a transaction that was rolled back");

    let mut story = begun();
    txn(&mut story, &[set("x", "x2"), set("x", "x3")], &[made("x", 2), made("x", 2)], (120, 130));
    txn(&mut story, &[get("x")], &[row("x", "x2", 2)], (140, 150));
    story.assert_caught("transactions: a value that its own transaction had overwritten");

    let mut story = begun();
    txn(&mut story, &[get("x")], &[row("x", "zz", 2)], (140, 150));
    story.assert_caught("transactions: a value that nobody wrote");

    let mut story = begun();
    txn(&mut story, &[set("x", "x2"), get("x")], &[made("x", 2), row("x", "x1", 1)], (120, 130));
    story.assert_caught("transactions: a transaction that does not see its own write");
}

#[test]
fn cycles_are_caught_by_their_names() {
    // Both compared with the same version, and both were granted.
    let mut story = begun();
    txn(&mut story, &[cas("x", "x2", 1)], &[made("x", 2)], (120, 200));
    txn(&mut story, &[cas("x", "x3", 1)], &[made("x", 3)], (130, 210));
    story.assert_caught("transactions: a lost update");
    // Each read what the other wrote over.
    let mut story = begun();
    let rows = [row("x", "x1", 1), made("y", 2)];
    txn(&mut story, &[get("x"), set("y", "y2")], &rows, (120, 200));
    let rows = [row("y", "y1", 1), made("x", 3)];
    txn(&mut story, &[get("y"), set("x", "x3")], &rows, (130, 210));
    story.assert_caught("transactions: a write skew");
    // Read after the next version had been acknowledged.
    let mut story = begun();
    txn(&mut story, &[set("x", "x2")], &[made("x", 2)], (120, 130));
    txn(&mut story, &[get("x")], &[row("x", "x1", 1)], (140, 150));
    story.assert_caught("transactions: an order against real time");
    // Only what is asked to be consistent owes that.
    let last = story.history.last_mut().expect("it was added");
    last.call = sim_runner::history::operation::Call::Of(Request::Txn {
        mode: Mode::Default,
        ops: vec![get("x")],
    });
    assert_holds(&story);
}

#[test]
fn deleted_keys_are_left_out() {
    let mut story = begun();
    txn(&mut story, &[set("x", "x2")], &[made("x", 2)], (120, 130));
    txn(&mut story, &[get("x")], &[row("x", "x1", 1)], (140, 150));
    story.operation(
        sim_runner::history::operation::Call::Delete,
        sim_runner::history::operation::Output::Done,
        (160, 170),
        None,
    );
    assert_holds(&story);
}

#[test]
fn a_long_history_is_judged_without_recursion() {
    let mut story = begun();
    for number in 2..20_000_u64 {
        let at = 1000 + 10 * i64::try_from(number).expect("small");
        let (value, old) = (format!("x{number}"), format!("x{}", number - 1));
        let rows = [row("x", &old, number - 1), made("x", number)];
        txn(&mut story, &[get("x"), set("x", &value)], &rows, (at, at + 5));
    }
    assert_holds(&story);
}

#[test]
fn histories_of_transactions_come_back_from_their_files() {
    let mut story = begun();
    txn(&mut story, &[cas("x", "x2", 1), get("y")], &[made("x", 2), row("y", "y1", 1)], (120, 130));
    let history = History::new(story.history);
    let text = file::write(&history);
    assert_eq!(file::read("history.jsonl", text.as_bytes()), Ok(history), "{text}");
    let wrong = text.replacen("\"op\":\"txn\"", "\"op\":\"watch\"", 1);
    let error = file::read("h", wrong.as_bytes()).expect_err("it is contradictory").to_string();
    assert_eq!(error, "h:1: `op` is `watch`, but `request` says txn");
}
