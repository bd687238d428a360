//! Each oracle over the Raft events catches what it is for, and accepts what only looks like it.

use sim_runner::property::Verdict;
use sim_runner::trace::event::{Ending, EntryRef, Role, SnapshotRef, What, key_digest};

use crate::oracle_story::{N1, N2, N3, Story, TESTBED, address, entry};

#[test]
fn an_ordinary_run_is_accepted_and_everything_is_judged() {
    let mut story = Story::led();
    story.at(1000).put("7", (990, 1010));
    story.write_through(entry(2, 1), "x", "7").settled();
    story.assert_accepted();
    for property in [
        "boot",
        "no-panic",
        "election-safety",
        "log-matching",
        "state-machine-safety",
        "commit-monotonic",
        "durability",
        "liveness",
    ] {
        let judgement = story.judgement(property);
        assert_eq!(judgement.verdict, Verdict::Holds, "{property}");
        assert!(judgement.judged > 0, "{property} judged nothing");
    }
}

#[test]
fn election_safety_catches_two_leaders_of_a_term() {
    let mut story = Story::led();
    story.at(1000).wins(N2, 1);
    story.assert_caught("election-safety: two leaders in one term");
}

#[test]
fn election_safety_accepts_the_same_leader_again_in_a_later_term() {
    let mut story = Story::led();
    story.at(1000).role(N1, Role::Follower, 2).wins(N1, 3).settled();
    story.assert_accepted();
    assert_eq!(story.judgement("election-safety").judged, 2);
}

#[test]
fn election_safety_accepts_a_deposed_leader_beside_the_new_one() {
    let mut story = Story::led();
    story.at(1000).push(N2, What::Term { term: 2 });
    story.push(N2, What::ElectionWon { term: 2, tally: 2 }).role(N2, Role::Leader, 2);
    assert_eq!(story.view().live_servers().filter(|h| story.view().node(*h).leads()).count(), 2);
    story.settled();
    story.assert_accepted();
}

#[test]
fn log_matching_catches_other_content_and_other_predecessors() {
    let mut content = Story::led();
    content.replicate(&[N1], &[entry(2, 1)]);
    content.replicate(&[N2], &[EntryRef { index: 2, term: 1, hash: 9 }]);
    content.assert_caught("log-matching: same index and term, different content");

    let mut before = Story::led();
    before.replicate(&[N1], &[entry(2, 1), entry(3, 3)]);
    before.replicate(&[N2], &[entry(2, 2), entry(3, 3)]);
    before.assert_caught("log-matching: same index and term, different entries before it");
}

#[test]
fn log_matching_catches_a_leader_that_deletes_from_its_log() {
    let mut story = Story::led();
    story.replicate(&[N1], &[entry(2, 1)]).push(N1, What::Truncate { from: 2 });
    story.assert_caught("log-matching: a leader deleted entries of its own log");
}

#[test]
fn an_uncommitted_entry_may_be_truncated_and_replaced() {
    let mut story = Story::led();
    story.replicate(&[N1], &[entry(2, 1)]);
    story.at(1000).role(N1, Role::Follower, 2).wins(N2, 2);
    story.replicate(&[N2, N3], &[entry(2, 2)]);
    story.push(N1, What::Truncate { from: 2 }).replicate(&[N1], &[entry(2, 2)]);
    story.commits(N2, 2).applies(N2, entry(2, 2)).settled();
    story.assert_accepted();
}

#[test]
fn leader_completeness_catches_a_leader_without_a_committed_entry() {
    let mut story = Story::led();
    story.replicate(&[N1, N2], &[entry(2, 1)]).commits(N1, 2);
    story.at(1000).role(N1, Role::Follower, 2).wins(N3, 2);
    story.assert_caught(
        "leader-completeness: a leader lacks an entry that was committed in an earlier term",
    );
    let violation = &story.judgement("leader-completeness").violations[0];
    assert_eq!(
        violation.summary,
        "n3 became leader of term 2 at 1.000 s without entry 2 of term 1, which n1 had committed \
         in term 1"
    );
}

#[test]
fn leader_completeness_catches_a_commit_that_is_reported_late() {
    let mut story = Story::led();
    story.replicate(&[N1], &[entry(2, 1)]);
    story.at(1000).push(N3, What::Term { term: 2 });
    story.push(N3, What::ElectionWon { term: 2, tally: 2 }).role(N3, Role::Leader, 2);
    story.commits(N1, 2);
    story.assert_caught(
        "leader-completeness: a leader lacks an entry that was committed in an earlier term",
    );
}

#[test]
fn leader_completeness_accepts_entries_that_were_never_committed() {
    let mut story = Story::led();
    story.replicate(&[N1], &[entry(2, 1)]);
    story.at(1000).role(N1, Role::Follower, 2).wins(N3, 2).settled();
    story.assert_accepted();
}

#[test]
fn state_machine_safety_catches_different_entries_at_one_index() {
    let mut story = Story::led();
    story.replicate(&[N1, N3], &[entry(2, 1)]).commits(N1, 2).applies(N1, entry(2, 1));
    story.replicate(&[N2], &[entry(2, 2)]).commits(N2, 2).applies(N2, entry(2, 2));
    story.assert_caught("state-machine-safety: different entries applied at one index");
}

#[test]
fn state_machine_safety_catches_gaps_and_haste() {
    let mut gap = Story::led();
    gap.replicate(&[N1, N2], &[entry(2, 1), entry(3, 1)]).commits(N1, 3).applies(N1, entry(3, 1));
    gap.assert_caught("state-machine-safety: entries applied out of order");

    let mut haste = Story::led();
    haste.replicate(&[N1, N2], &[entry(2, 1)]).applies(N1, entry(2, 1));
    haste.assert_caught("state-machine-safety: an entry applied before it was committed");
}

#[test]
fn state_machine_safety_catches_a_commit_without_a_quorum() {
    let mut story = Story::led();
    story.replicate(&[N1], &[entry(2, 1)]).commits(N1, 2).applies(N1, entry(2, 1));
    story.assert_caught("state-machine-safety: an entry applied that no majority holds");

    let mut elsewhere = Story::led();
    elsewhere.replicate(&[N1, N2], &[entry(2, 1)]).commits(N1, 2);
    elsewhere.applies(N1, EntryRef { index: 2, term: 1, hash: 5 });
    elsewhere.assert_caught("state-machine-safety: an applied entry is not in the log");
}

#[test]
fn state_machine_safety_catches_effects_that_differ() {
    let mut story = Story::led();
    story.write_through(entry(2, 1), "x", "7");
    story.push(N3, What::Wrote { index: 2, key: "x".to_owned(), value: 1, done: true });
    story.assert_caught("state-machine-safety: one entry with different effects");
}

#[test]
fn a_restarted_server_applies_again_from_the_first_entry() {
    let mut story = Story::led();
    story.at(1000).write_through(entry(2, 1), "x", "7").kill(N3);
    story.at(2000).start(N3, 1, None, &[entry(1, 1), entry(2, 1)]);
    story.commits(N3, 2).applies(N3, entry(1, 1)).applies(N3, entry(2, 1));
    story.wrote(N3, 2, "x", "7").settled();
    story.assert_accepted();
}

#[test]
fn a_quorum_counts_servers_that_are_down() {
    let mut story = Story::led();
    story.replicate(&[N1, N2], &[entry(2, 1)]).acks(N2, 2, 1).kill(N2);
    story.commits(N1, 2).applies(N1, entry(2, 1)).settled();
    story.assert_accepted();
}

#[test]
fn commit_monotonic_catches_everything_that_goes_back() {
    let mut commit = Story::led();
    commit.write_through(entry(2, 1), "x", "7").commits(N2, 1);
    commit.assert_caught("commit-monotonic: the commit index went back");

    let mut applied = Story::led();
    applied.write_through(entry(2, 1), "x", "7").applies(N2, entry(1, 1));
    applied.assert_caught("commit-monotonic: the applied index went back");

    let mut term = Story::led();
    term.push(N2, What::Term { term: 5 }).push(N2, What::Term { term: 4 });
    term.assert_caught("commit-monotonic: the term went back");
}

#[test]
fn commit_monotonic_catches_commits_that_are_not_the_leaders_to_make() {
    let mut beyond = Story::led();
    beyond.commits(N2, 9);
    beyond.assert_caught("commit-monotonic: a commit index beyond the log");

    let mut earlier = Story::led();
    earlier.replicate(&[N1, N2], &[entry(2, 1)]);
    earlier.at(1000).role(N1, Role::Follower, 2).wins(N2, 2).commits(N2, 2);
    earlier.assert_caught("commit-monotonic: a leader committed up to an entry of an earlier term");
}

#[test]
fn commit_monotonic_accepts_old_entries_under_a_new_one_and_a_new_process_life() {
    let mut story = Story::led();
    story.replicate(&[N1, N2], &[entry(2, 1)]);
    story.at(1000).role(N1, Role::Follower, 2).wins(N2, 2);
    story.replicate(&[N2], &[entry(3, 2)]).replicate(&[N3], &[entry(2, 1), entry(3, 2)]);
    story.commits(N2, 3).kill(N2);
    story.at(2000).start(N2, 2, None, &[entry(1, 1), entry(2, 1), entry(3, 2)]);
    story.commits(N2, 1).settled();
    story.assert_accepted();
}

#[test]
fn vote_durability_catches_two_votes_also_across_a_restart() {
    let told = |candidate| What::VoteTold { term: 2, candidate: address(candidate) };
    let mut story = Story::led();
    story.at(1000).push(N3, told(N1)).kill(N3);
    story.at(2000).start(N3, 2, Some((2, N1)), &[entry(1, 1)]);
    story.push(N3, told(N2));
    story.assert_caught("vote-durability: two votes in one term");

    let mut decided = Story::led();
    decided.push(N3, What::Voted { term: 2, candidate: address(N1) });
    decided.push(N3, What::Voted { term: 2, candidate: address(N2) });
    decided.assert_caught("vote-durability: two votes in one term");
}

#[test]
fn vote_durability_catches_what_recovery_forgot() {
    let mut vote = Story::led();
    vote.at(1000).push(N3, What::VoteTold { term: 2, candidate: address(N1) }).kill(N3);
    let mut term = vote.clone();
    vote.at(2000).start(N3, 2, Some((1, N1)), &[entry(1, 1)]);
    vote.assert_caught("vote-durability: a vote that others were told of was lost in a crash");
    term.at(2000).start(N3, 1, Some((1, N1)), &[entry(1, 1)]);
    term.assert_caught("vote-durability: a term that others were told of was lost in a crash");

    let mut acked = Story::led();
    acked.at(1000).wins(N2, 4).replicate(&[N2, N3], &[entry(2, 4)]).acks(N3, 2, 4).kill(N3);
    acked.at(2000).start(N3, 1, None, &[entry(1, 1), entry(2, 4)]);
    acked.assert_caught("vote-durability: a term that others were told of was lost in a crash");
}

#[test]
fn a_vote_decided_but_not_durable_before_the_crash_binds_nobody() {
    let mut story = Story::led();
    story.at(1000).push(N3, What::Term { term: 2 });
    story.push(N3, What::Voted { term: 2, candidate: address(N1) }).kill(N3);
    story.at(2000).start(N3, 1, None, &[entry(1, 1)]);
    story.push(N3, What::Voted { term: 2, candidate: address(N2) });
    story.push(N3, What::VoteTold { term: 2, candidate: address(N2) }).kill(N3);
    // More than what was told is fine too: a vote that was durable but never left.
    story.at(2500).start(N3, 2, Some((2, N2)), &[entry(1, 1)]);
    story.push(N3, What::Term { term: 3 });
    story.push(N3, What::Voted { term: 3, candidate: address(N1) }).kill(N3);
    story.at(3000).start(N3, 3, Some((3, N1)), &[entry(1, 1)]);
    story.settled();
    story.assert_accepted();
}

#[test]
fn durability_catches_acknowledged_entries_that_recovery_lacks() {
    let mut story = Story::led();
    story.acks(N3, 1, 1).replicate(&[N1, N3], &[entry(2, 1)]).acks(N3, 2, 1).kill(N3);
    story.at(1000).start(N3, 1, None, &[entry(1, 1)]);
    story.assert_caught("durability: acknowledged log entries were lost in a crash");
}

#[test]
fn durability_accepts_unacknowledged_and_truncated_entries_that_recovery_lacks() {
    let mut unsynced = Story::led();
    unsynced.acks(N3, 1, 1).replicate(&[N1, N3], &[entry(2, 1)]).kill(N3);
    unsynced.at(1000).start(N3, 1, None, &[entry(1, 1)]);
    unsynced.settled();
    unsynced.assert_accepted();

    // The truncation may or may not have reached the disk.
    for found in [&[entry(1, 1)][..], &[entry(1, 1), entry(2, 1)], &[entry(1, 1), entry(2, 2)]] {
        let mut truncated = Story::led();
        truncated.replicate(&[N1, N3], &[entry(2, 1)]).acks(N3, 2, 1);
        truncated.at(1000).role(N1, Role::Follower, 2).wins(N2, 2);
        truncated.replicate(&[N2], &[entry(2, 2)]).push(N3, What::Truncate { from: 2 });
        truncated.replicate(&[N3], &[entry(2, 2)]).kill(N3);
        truncated.at(2000).start(N3, 2, None, found);
        let judgement = truncated.judgement("durability");
        assert_eq!(judgement.verdict, Verdict::Holds, "{:?}", judgement.violations);
    }
}

#[test]
fn durability_accepts_an_answer_that_leaves_after_its_entry_was_replaced() {
    let mut story = Story::led();
    story.replicate(&[N1, N3], &[entry(2, 1)]);
    story.at(1000).role(N1, Role::Follower, 2).wins(N2, 2).replicate(&[N2], &[entry(2, 2)]);
    story.push(N3, What::Truncate { from: 2 }).replicate(&[N3], &[entry(2, 2)]).acks(N3, 2, 1);
    story.kill(N3).at(2000).start(N3, 2, None, &[entry(1, 1), entry(2, 1)]);
    story.settled();
    assert_eq!(story.judgement("durability").verdict, Verdict::Holds);
}

#[test]
fn durability_catches_a_committed_entry_that_is_gone_at_the_end() {
    let mut story = Story::led();
    story.replicate(&[N1, N2], &[entry(2, 1)]).commits(N1, 2).kill(N2);
    story.at(1000).start(N2, 1, None, &[entry(1, 1)]);
    story.settled();
    story.assert_caught("durability: a committed entry is missing in a majority of the logs");
}

#[test]
fn no_panic_catches_a_panic_and_accepts_other_endings() {
    let mut story = Story::led();
    let panicked = "src/raft/log.rs:41: index 7 is \"gone\"\nstack";
    story.push(N1, What::Ended { how: Ending::Panicked, detail: panicked.to_owned() });
    story.assert_caught("no-panic: src/raft/log.rs:N: index N is …");

    let mut story = Story::led();
    story.push(N1, What::Ended { how: Ending::Stopped, detail: String::new() });
    story.push(N2, What::Ended { how: Ending::Exited, detail: "left".to_owned() }).settled();
    story.assert_accepted();
}

#[test]
fn liveness_and_boot_repeat_the_fact_of_the_run() {
    let mut story = Story::led();
    let (fact, detail) = ("no leader".to_owned(), "nobody leads".to_owned());
    story.at(70_000).push(TESTBED, What::NotSettled { fact, detail });
    story.assert_caught("liveness: no leader");
    let (fact, detail) = ("no leader".to_owned(), "nobody leads".to_owned());
    story.push(TESTBED, What::NotBooted { fact, detail });
    story.assert_caught("boot: no leader");
}

#[test]
fn liveness_is_undecided_or_skipped_when_nothing_was_shown() {
    let mut story = Story::led();
    assert_eq!(story.judgement("liveness").verdict, Verdict::Undecided);
    story.push(TESTBED, What::Watchdog { detail: "no progress".to_owned() });
    let judgement = story.judgement("liveness");
    assert_eq!(judgement.verdict, Verdict::Undecided);
    assert_eq!(judgement.because.as_deref(), Some("no progress"));

    let mut story = Story::led();
    story.header.settle_ns = 0;
    assert_eq!(story.judgement("liveness").verdict, Verdict::Skipped);
}

#[test]
fn storage_recovery_catches_what_was_never_on_that_disk() {
    let mut entries = Story::led();
    entries.replicate(&[N3], &[entry(2, 1)]).kill(N3);
    let torn = EntryRef { hash: 99, ..entry(2, 1) };
    entries.at(1000).start(N3, 1, None, &[entry(1, 1), torn]);
    entries.assert_caught("storage-recovery: recovery found an entry that it never appended");

    let mut votes = Story::led();
    votes.at(1000).kill(N3);
    votes.start(N3, 1, Some((1, N2)), &[entry(1, 1)]);
    votes.assert_caught("storage-recovery: recovery found a vote that it never gave");
}

/// n1 and n2 commit entries 2 and 3, n3 gets them as a snapshot and restarts from it.
fn caught_up_by_a_snapshot(state: u64) -> Story {
    let mut story = Story::led();
    story.replicate(&[N1, N2], &[entry(2, 1), entry(3, 1)]);
    story.commits(N1, 3).applies(N1, entry(2, 1));
    story.push(N1, What::Wrote { index: 2, key: "a".into(), value: 5, done: true });
    story.applies(N1, entry(3, 1));
    let snapshot = SnapshotRef { index: 3, term: 1, state: key_digest("a", 5) };
    story.push(N1, What::SnapshotBegun { snapshot });
    let installed = SnapshotRef { state, ..snapshot };
    story.push(N3, What::SnapshotInstalled { snapshot: installed, operator: false });
    story.replicate(&[N1, N2, N3], &[entry(4, 1)]).kill(N3).at(1000).push(N3, What::Started);
    story.push(
        N3,
        What::Recovered {
            term: 1,
            vote_term: 0,
            vote_for: String::new(),
            snapshot: Some(installed),
            log: vec![entry(4, 1)],
            abstains: false,
        },
    );
    story
}

#[test]
fn a_log_goes_on_after_a_snapshot() {
    let mut story = caught_up_by_a_snapshot(key_digest("a", 5));
    for host in [N1, N2, N3] {
        story.commits(host, 4);
        if host == N2 {
            story.applies(N2, entry(2, 1)).applies(N2, entry(3, 1));
        }
        story.applies(host, entry(4, 1));
    }
    story.settled();
    story.assert_accepted();
}

#[test]
fn state_machine_safety_catches_a_snapshot_with_another_content() {
    let story = caught_up_by_a_snapshot(key_digest("a", 4));
    story.assert_caught(
        "state-machine-safety: a snapshot holds another state than its entries make",
    );
}
