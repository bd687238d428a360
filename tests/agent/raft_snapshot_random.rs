//! The schedules of `raft_random`, on servers that take snapshots all the time and keep next to nothing
//! behind them; with snapshots that fail, power cuts in the middle of a batch, disks that lose the
//! end of their log, and operators who restore.
//!
//! `PROPTEST_CASES=10000 cargo test --test agent raft_snapshot_random` runs longer.

use proconsul::base::{Duration, Prng};
use proptest::prelude::*;

use crate::raft_cluster::Cluster;
use crate::raft_judge::Violation;
use crate::raft_random::{Choice, act, fail, likely_leader, schedule};
use crate::raft_shape::Shape;

/// What was done, so that a test can tell that it tested something.
#[derive(Default)]
pub struct Tally {
    pub damages: usize,
    pub restores: usize,
    pub in_doubt: bool,
}

/// Three of four steps are those of every schedule.
pub fn act_with_snapshots(
    cluster: &mut Cluster,
    tally: &mut Tally,
    (what, which): Choice,
) -> Result<(), Violation> {
    let at = usize::from(which) % cluster.nodes.len();
    match what {
        192..212 => cluster.save_snapshot(at).map(|_| ()),
        212..214 => cluster.fail_snapshot(at),
        214..224 => cluster.fire(at),
        224..228 => {
            cluster.crash_in_batch(at);
            Ok(())
        }
        228..232 => {
            damage(cluster, tally, at, usize::from(which) / 7 % 4 + 1);
            Ok(())
        }
        232..234 => restore(cluster, tally, which),
        234..248 => match likely_leader(cluster, which) {
            Some(leader) => cluster.propose(leader, &format!("y{which}")),
            None => cluster.restart(at),
        },
        248.. => cluster.restart(at),
        _ => act(cluster, (what, which)),
    }
}

/// A server loses the end of its log while it is down. As long as a quorum of the others is whole, and
/// no change of the set is under way that would leave less, the cluster must get over it.
fn damage(cluster: &mut Cluster, tally: &mut Tally, at: usize, entries: usize) {
    if cluster.bears_damage_of(at) && !cluster.has_open_changes() {
        cluster.crash(at, entries % 2);
        cluster.nodes[at].disk.damage(entries);
        tally.damages += 1;
    }
}

/// An operator restores a cluster that is at rest, as the hazard asks (`src/raft/restore.rs`). If the
/// leader is deposed all the same before a quorum has the state, the run says nothing more.
fn restore(cluster: &mut Cluster, tally: &mut Tally, which: u16) -> Result<(), Violation> {
    if cluster.cut.is_some() || (0..cluster.nodes.len()).any(|at| !cluster.is_up(at)) {
        return Ok(());
    }
    cluster.run_dry()?;
    let Some(leader) = likely_leader(cluster, which) else { return Ok(()) };
    tally.restores += 1;
    cluster.restore(leader)?;
    let result = until_committed(cluster, leader);
    let raft = cluster.nodes[leader].raft.as_ref().expect("nobody has crashed");
    let ended = raft.is_leader() && raft.commit_index() == raft.last_index();
    tally.in_doubt |= !ended;
    if raft.is_leader() { result } else { Ok(()) }
}

fn until_committed(cluster: &mut Cluster, leader: usize) -> Result<(), Violation> {
    for _ in 0..20 {
        cluster.run_dry()?;
        let raft = cluster.nodes[leader].raft.as_ref().expect("nobody has crashed");
        if raft.commit_index() == raft.last_index() {
            break;
        }
        // A follower that did not answer for a while is asked again only later.
        cluster.pass(Duration::from_millis(10))?;
    }
    Ok(())
}

fn shape(servers: usize, sizes: (u64, u64), seed: u64) -> Shape {
    Shape {
        max_append_entries: 2,
        max_inflight: 3,
        max_append_bytes: 9,
        snapshot_interval: Duration::from_millis(100),
        snapshot_threshold: sizes.0,
        trailing_logs: sizes.1,
        ..Shape::of(servers, seed)
    }
}

fn run(shape: Shape, schedule: &[Choice]) -> (Cluster, Tally, Result<(), Violation>) {
    let mut cluster = Cluster::new(shape);
    let mut tally = Tally::default();
    let mut result = Ok(());
    for &choice in schedule {
        result = act_with_snapshots(&mut cluster, &mut tally, choice);
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
    fn three_servers_with_snapshots_keep_the_invariants(
        seed in any::<u64>(),
        sizes in (1u64..6, 0u64..5),
        schedule in prop::collection::vec(any::<Choice>(), 50..600),
    ) {
        let (cluster, _, result) = run(shape(3, sizes, seed), &schedule);
        result.map_err(|violation| fail(&cluster, &violation))?;
    }

    #[test]
    fn five_servers_with_snapshots_keep_the_invariants(
        seed in any::<u64>(),
        sizes in (1u64..6, 0u64..5),
        schedule in prop::collection::vec(any::<Choice>(), 50..900),
    ) {
        let (cluster, _, result) = run(shape(5, sizes, seed), &schedule);
        result.map_err(|violation| fail(&cluster, &violation))?;
    }
}

#[test]
fn schedules_reach_snapshots_damage_and_restores() {
    let counted = ["* snapshot", " taken", "* compacted", " installed", "* healed", "cannot heal"];
    let mut counts = [0; 6];
    let (mut damages, mut restores, mut in_doubt, mut dropped) = (0, 0, 0, 0);
    for seed in 0..60 {
        let choices = schedule(&mut Prng::new(seed), 700);
        let sizes = (1 + seed % 5, seed % 4);
        let (cluster, tally, result) = run(shape(3, sizes, seed), &choices);
        result.unwrap_or_else(|violation| panic!("seed {seed}: {violation:?}"));
        damages += tally.damages;
        restores += tally.restores;
        in_doubt += usize::from(tally.in_doubt);
        for line in &cluster.transcript {
            for (count, text) in counts.iter_mut().zip(counted) {
                *count += usize::from(line.contains(text));
            }
            dropped += usize::from(line.contains("log=dropped"));
        }
    }
    println!(
        "{counted:?} {counts:?}, damages {damages}, restores {restores} ({in_doubt} in doubt), dropped {dropped}"
    );
    let [_, taken, compacted, installed, healed, unfit] = counts;
    assert!(taken > 200 && compacted > 200, "{taken} taken, {compacted} compactions");
    assert!(installed > 40 && dropped > 40, "{installed} installed, {dropped} logs dropped");
    assert!(
        damages > 60 && healed > 40 && unfit > 5,
        "{damages} damages, {healed} healed, {unfit}"
    );
    assert!(restores > 3 && in_doubt < restores / 2, "{restores} restores, {in_doubt} in doubt");
}
