//! `lock-exclusion` and `session-lifetime`: what histories of locks and sessions may hold.

use sim_runner::history::operation::{Call, Mode, Outcome, Output};
use sim_runner::history::request::{Behavior, LockSeen, Reply, Request};
use sim_runner::property::Verdict;
use sim_runner::trace::event::{Change, Pool, Role, What};

use crate::oracle_story::{N1, N2, Story, TESTBED};

const SECOND: u64 = 1_000_000_000;
const LOCK: &str = "lock/0";

/// A request of `user` about `key` that was answered so; times in ms.
pub fn ask(
    story: &mut Story,
    (user, key): (&str, &str),
    request: Request,
    reply: Reply,
    span: (i64, i64),
) {
    story.operation(Call::Of(request), Output::Of(reply), span, Some(7));
    let last = story.history.last_mut().expect("it was added");
    (last.user, last.key) = (user.to_owned(), key.to_owned());
}

/// The last operation has no known outcome.
pub fn unknown(story: &mut Story) {
    let last = story.history.last_mut().expect("one was added");
    (last.outcome, last.output) = (Outcome::Unknown, None);
}

fn create(story: &mut Story, id: &str, ttl: u64, span: (i64, i64)) {
    let request = Request::CreateSession {
        ttl_ns: ttl * SECOND,
        lock_delay_ns: 15 * SECOND,
        behavior: Behavior::Release,
    };
    ask(story, ("u1", ""), request, Reply::Created(id.to_owned()), span);
}

fn acquire(story: &mut Story, session: &str, granted: bool, span: (i64, i64)) {
    let request = Request::Acquire { session: session.to_owned(), value: format!("{span:?}") };
    ask(story, (session, LOCK), request, Reply::Granted(granted), span);
}

fn release(story: &mut Story, session: &str, span: (i64, i64)) {
    let request = Request::Release { session: session.to_owned(), value: String::new() };
    ask(story, (session, LOCK), request, Reply::Granted(true), span);
}

fn destroy(story: &mut Story, session: &str, span: (i64, i64)) {
    ask(story, ("u1", session), Request::DestroySession, Reply::Done, span);
}

fn renew(story: &mut Story, session: &str, exists: bool, span: (i64, i64)) {
    ask(story, ("u1", session), Request::RenewSession, Reply::Exists(exists), span);
}

fn info(story: &mut Story, session: &str, exists: bool, span: (i64, i64)) {
    let request = Request::SessionInfo { mode: Mode::Consistent };
    ask(story, ("u1", session), request, Reply::Exists(exists), span);
}

fn holder(story: &mut Story, session: Option<&str>, lock_index: u64, span: (i64, i64)) {
    let seen = LockSeen { session: session.map(str::to_owned), lock_index, index: 9 };
    let request = Request::Holder { mode: Mode::Consistent };
    ask(story, ("u9", LOCK), request, Reply::Lock(Some(seen)), span);
}

/// Sessions a and b, without a TTL, of a cluster that n1 leads.
fn two() -> Story {
    let mut story = Story::led();
    create(&mut story, "a", 0, (100, 110));
    create(&mut story, "b", 0, (120, 130));
    story
}

fn assert_holds(story: &Story, property: &str) {
    let judgement = story.judgement(property);
    assert_eq!(judgement.verdict, Verdict::Holds, "{:?}", judgement.violations);
}

#[test]
fn one_holder_after_the_other_is_fine() {
    let mut story = two();
    acquire(&mut story, "a", true, (200, 210));
    acquire(&mut story, "b", false, (220, 230));
    holder(&mut story, Some("a"), 1, (240, 250));
    // Released while the other asks: the order of the two is not known.
    release(&mut story, "a", (300, 340));
    acquire(&mut story, "b", true, (310, 320));
    holder(&mut story, Some("b"), 2, (400, 410));
    // Taken again by its holder.
    acquire(&mut story, "b", true, (500, 510));
    assert_holds(&story, "lock-exclusion");
}

#[test]
fn two_holders_at_once_are_caught() {
    let mut story = two();
    acquire(&mut story, "a", true, (200, 210));
    acquire(&mut story, "b", true, (220, 230));
    story.assert_caught("lock-exclusion: two holders at once");
}

#[test]
fn what_has_no_known_outcome_excuses() {
    // It may have taken the lock, but that proves nothing.
    let mut story = two();
    acquire(&mut story, "a", true, (200, 210));
    unknown(&mut story);
    acquire(&mut story, "b", true, (220, 230));
    assert_holds(&story, "lock-exclusion");
    // A release that was called before the lock was taken anew may take effect after that.
    let mut story = two();
    acquire(&mut story, "a", true, (200, 210));
    release(&mut story, "a", (220, 230));
    unknown(&mut story);
    acquire(&mut story, "a", true, (240, 250));
    acquire(&mut story, "b", true, (260, 270));
    assert_holds(&story, "lock-exclusion");
    // So may a destruction.
    let mut story = two();
    acquire(&mut story, "a", true, (200, 210));
    destroy(&mut story, "a", (220, 230));
    unknown(&mut story);
    acquire(&mut story, "b", true, (20_000, 20_010));
    assert_holds(&story, "lock-exclusion");
}

#[test]
fn the_end_of_a_session_ends_its_hold() {
    // The TTL is over, and nobody has renewed it.
    let mut story = Story::led();
    create(&mut story, "a", 10, (100, 110));
    create(&mut story, "b", 0, (120, 130));
    acquire(&mut story, "a", true, (200, 210));
    acquire(&mut story, "b", true, (10_200, 10_210));
    assert_holds(&story, "lock-exclusion");
    // It was renewed meanwhile.
    renew(&mut story, "a", true, (5_000, 5_010));
    story.assert_caught("lock-exclusion: two holders at once");
    // Somebody held its node for gone.
    story.at(9000).push(
        N2,
        What::Member {
            pool: Pool::Lan,
            about: "n1".to_owned(),
            change: Change::Failed,
            forced: false,
            ltime: 3,
        },
    );
    assert_holds(&story, "lock-exclusion");
}

#[test]
fn what_a_script_does_to_the_catalog_ends_certainty() {
    let mut story = two();
    acquire(&mut story, "a", true, (200, 210));
    acquire(&mut story, "b", true, (420, 430));
    let mut meddled = story.clone();
    let detail = "PUT /v1/catalog/deregister on n1".to_owned();
    let (id, verb) = ("step-1".to_owned(), "http".to_owned());
    let what = What::StepStarted { step: 0, id, verb, chaos: false, detail, targets: vec![N1] };
    meddled.at(300).push(TESTBED, what);
    assert_holds(&meddled, "lock-exclusion");
    story.assert_caught("lock-exclusion: two holders at once");
}

#[test]
fn the_lock_delay_is_of_one_leader() {
    let delayed = |at: i64| {
        let mut story = two();
        acquire(&mut story, "a", true, (200, 210));
        destroy(&mut story, "a", (300, 310));
        acquire(&mut story, "b", true, (at, at + 10));
        story
    };
    delayed(14_000).assert_caught("lock-exclusion: a lock within its delay");
    assert_holds(&delayed(15_300), "lock-exclusion");
    // After a release there is none.
    let mut story = two();
    acquire(&mut story, "a", true, (200, 210));
    release(&mut story, "a", (220, 230));
    destroy(&mut story, "a", (300, 310));
    acquire(&mut story, "b", true, (400, 410));
    assert_holds(&story, "lock-exclusion");
    // Another leader has forgotten it.
    let mut story = delayed(14_000);
    story.at(1000).role(N1, Role::Follower, 1);
    story.wins(N2, 2);
    assert_holds(&story, "lock-exclusion");
}

#[test]
fn reads_show_the_holder_and_the_order() {
    let mut story = two();
    acquire(&mut story, "a", true, (200, 210));
    holder(&mut story, None, 1, (240, 250));
    story.assert_caught("lock-exclusion: a holder that a consistent read does not show");
    let mut story = two();
    acquire(&mut story, "a", true, (200, 210));
    unknown(&mut story);
    holder(&mut story, Some("a"), 3, (240, 250));
    holder(&mut story, Some("b"), 3, (260, 270));
    story.assert_caught("lock-exclusion: two holders with one lock index");
    holder(&mut story, None, 2, (280, 290));
    story.assert_caught("lock-exclusion: a lock index that goes back");
    // A key that was deleted counts anew.
    story.operation(Call::Delete, Output::Done, (215, 216), None);
    story.history.last_mut().expect("it was added").key = LOCK.to_owned();
    story.history.sort_by_key(|operation| operation.called_at);
    assert_holds(&story, "lock-exclusion");
}

#[test]
fn sessions_live_for_their_ttl_and_not_twice_as_long() {
    let mut story = Story::led();
    create(&mut story, "a", 10, (100, 110));
    renew(&mut story, "a", true, (5_000, 5_010));
    info(&mut story, "a", true, (14_000, 14_010));
    info(&mut story, "a", false, (25_000, 25_010));
    story.at(60_000).push(N1, What::Note { text: "the end".to_owned() });
    assert_holds(&story, "session-lifetime");
    // Gone before the renewed TTL is over.
    let mut early = story.clone();
    info(&mut early, "a", false, (14_900, 14_910));
    early.assert_caught("session-lifetime: a session that ends too early");
    // There, long after.
    info(&mut story, "a", true, (40_000, 40_010));
    story.assert_caught("session-lifetime: a session that outlives its time");
    // A leader that was elected since gives it its time anew.
    let mut anew = story.clone();
    anew.at(20_000).role(N1, Role::Follower, 1);
    anew.wins(N2, 2);
    anew.at(60_000).push(N1, What::Note { text: "the end".to_owned() });
    assert_holds(&anew, "session-lifetime");
    // Nobody knows when this renewal was heard.
    renew(&mut story, "a", true, (15_000, 15_010));
    unknown(&mut story);
    assert_holds(&story, "session-lifetime");
}

#[test]
fn what_excuses_an_early_end() {
    // Destroyed by somebody who was never told.
    let mut story = Story::led();
    create(&mut story, "a", 10, (100, 110));
    destroy(&mut story, "a", (200, 210));
    unknown(&mut story);
    info(&mut story, "a", false, (300, 310));
    assert_holds(&story, "session-lifetime");
    // A renewal that a deposed leader granted.
    let mut story = Story::led();
    create(&mut story, "a", 10, (100, 110));
    story.at(4000).wins(N2, 2);
    renew(&mut story, "a", true, (5_000, 5_010));
    info(&mut story, "a", false, (12_000, 12_010));
    assert_holds(&story, "session-lifetime");
    // The log itself said that there is none.
    let mut story = Story::led();
    create(&mut story, "a", 10, (100, 110));
    let request = Request::Acquire { session: "a".to_owned(), value: String::new() };
    ask(&mut story, ("u2", LOCK), request, Reply::NoSession, (5_000, 5_010));
    story.assert_caught("session-lifetime: a session that ends too early");
}

#[test]
fn without_locks_and_sessions_nothing_is_judged() {
    for property in ["lock-exclusion", "session-lifetime"] {
        assert_eq!(Story::led().judgement(property).verdict, Verdict::Skipped);
    }
}
