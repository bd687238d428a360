//! The schedules of `raft_snapshot_random` and of `raft_changes` in one: snapshots, changes of the set of
//! servers, transfers of leadership and pre-votes together, with power cuts, loss, duplicates, disorder
//! and damage. A server that was away while the set changed is caught up by a snapshot.
//!
//! `PROPTEST_CASES=10000 cargo test --test agent raft_mixed` runs longer.

use proconsul::base::{Duration, Prng};
use proptest::prelude::*;

use crate::raft_changes::act_or_change;
use crate::raft_cluster::Cluster;
use crate::raft_judge::Violation;
use crate::raft_random::{Choice, fail, schedule};
use crate::raft_shape::Shape;
use crate::raft_snapshot_random::{Tally, act_with_snapshots};

/// Every other choice may be one of snapshots, the others of sets; by a bit that chooses nothing else.
fn act(cluster: &mut Cluster, tally: &mut Tally, choice: Choice) -> Result<(), Violation> {
    if choice.1 >> 15 == 0 {
        act_or_change(cluster, choice)
    } else {
        act_with_snapshots(cluster, tally, choice)
    }
}

/// Servers at first, spares, whether they ask for pre-votes, what a snapshot waits for and leaves.
type Sizes = (usize, usize, bool, u64, u64);

fn shape((servers, spares, pre_vote, threshold, trailing): Sizes, seed: u64) -> Shape {
    Shape {
        spares,
        pre_vote,
        max_append_entries: 2,
        max_inflight: 3,
        max_append_bytes: 400,
        snapshot_interval: Duration::from_millis(100),
        snapshot_threshold: threshold,
        trailing_logs: trailing,
        ..Shape::of(servers, seed)
    }
}

fn run(shape: Shape, schedule: &[Choice]) -> (Cluster, Tally, Result<(), Violation>) {
    let mut cluster = Cluster::new(shape);
    let mut tally = Tally::default();
    let mut result = Ok(());
    for &choice in schedule {
        result = act(&mut cluster, &mut tally, choice);
        if result.is_err() || tally.in_doubt {
            break;
        }
    }
    if result.is_ok() && !tally.in_doubt {
        result = cluster.converge(6000);
    }
    (cluster, tally, result)
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn the_invariants_hold_with_everything_at_once(
        seed in any::<u64>(),
        sizes in (1usize..6, 0usize..3, any::<bool>(), 1u64..6, 0u64..5),
        schedule in prop::collection::vec(any::<Choice>(), 100..900),
    ) {
        let (cluster, _, result) = run(shape(sizes, seed), &schedule);
        result.map_err(|violation| fail(&cluster, &violation))?;
    }
}

#[test]
fn schedules_reach_everything_at_once() {
    let seen = [
        "* changing configuration",
        "stepped down: Removed",
        ": transferred r",
        "* pre-vote for",
        "* compacted",
        "* healed",
        "cannot heal",
        "log=dropped",
    ];
    let mut counts = seen.map(|_| 0);
    let (mut installed, mut sets, mut damages, mut restores, mut in_doubt) = (0, 0, 0, 0, 0);
    for seed in 0..80 {
        let choices = schedule(&mut Prng::new(seed).fork("mixed"), 900);
        let sizes = (3, 2, seed % 2 == 0, 1 + seed % 5, seed % 4);
        let (cluster, tally, result) = run(shape(sizes, seed), &choices);
        result.unwrap_or_else(|violation| panic!("seed {seed}: {violation:?}"));
        installed += cluster.judge.installed;
        sets += cluster.judge.sets_installed;
        damages += tally.damages;
        restores += tally.restores;
        in_doubt += usize::from(tally.in_doubt);
        for (text, total) in seen.iter().zip(&mut counts) {
            *total += cluster.transcript.iter().filter(|line| line.contains(text)).count();
        }
    }
    println!(
        "{seen:?}\n{counts:?}\n{installed} installed, {sets} with another set; {damages} damages; \
         {restores} restores, {in_doubt} in doubt"
    );
    assert!(counts.iter().all(|&count| count > 2), "{seen:?}: {counts:?}");
    assert!(installed > 40 && sets > 20, "{installed} installed, {sets} with another set");
    assert!(damages > 20, "{damages} damages");
    assert!(restores > 3 && in_doubt < restores / 2, "{restores} restores, {in_doubt} in doubt");
}
