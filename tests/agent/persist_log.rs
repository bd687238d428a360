//! The write-ahead log in use: group commit, failures, crashes at every operation.

use std::collections::BTreeMap;

use proconsul::base::LogIndex;
use proconsul::base::runtime::Disk;
use proconsul::driver::persist::{StorageError, Store};
use proconsul::raft::Persist;
use proptest::prelude::*;

use crate::persist_disk::{MemoryDisk, RealDisk, Survives, Trouble, abandon, run};
use crate::persist_model::{FOLDER, Model, open, recovered, small, voted};
use crate::persist_recovery::three_segments;

#[test]
fn batches_that_change_nothing_touch_nothing() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk, 1 << 20).expect("a fresh disk");
    let before = (disk.operations(), disk.files());
    run(store.write(&[Model::default().appending([])])).expect("nothing to do");
    assert_eq!((disk.operations(), disk.files()), before);
}

/// The log is used in tasks of any runtime, so its futures are `Send` for every disk.
fn futures_are_send<D: Disk>(disk: D, store: &mut Store<D>) {
    fn is_send<T: Send>(_: T) {}
    is_send(Store::open(disk, FOLDER, small(1)));
    is_send(store.write(&[]));
}

#[test]
fn the_futures_are_send() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk, 1).expect("a fresh disk");
    futures_are_send(disk, &mut store);
}

#[test]
fn a_group_is_one_write_and_one_sync() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk, 1 << 20).expect("a fresh disk");
    let mut model = Model::default();
    let batches: Vec<Persist> = (0..5)
        .map(|_| {
            let batch = model.appending([b"value".to_vec()]);
            model.apply(&batch);
            batch
        })
        .collect();
    let before = disk.operations();
    run(store.write(&batches)).expect("the disk works");
    assert_eq!(disk.operations() - before, 2);
    let after = disk.after_power_cut(Survives::Nothing);
    assert_eq!(recovered(&after.files()).expect("durable"), model);
}

#[test]
fn after_any_failure_the_store_takes_nothing_more() {
    for (segment_bytes, operations) in [(1 << 20, 2), (1, 6)] {
        for failing in 0..operations {
            for trouble in [Trouble::Fails, Trouble::Hangs] {
                let disk = MemoryDisk::default();
                let (mut store, _) = open(&disk, segment_bytes).expect("a fresh disk");
                let mut model = Model::default();
                let first = [model.appending([b"first".to_vec()])];
                run(store.write(&first)).expect("the disk works");
                model.apply(&first[0]);
                let second = [model.appending([b"second".to_vec()])];
                disk.trouble_at(disk.operations() + failing, trouble);
                match trouble {
                    Trouble::Hangs => abandon(store.write(&second)),
                    _ => {
                        let error = run(store.write(&second)).expect_err("the disk failed");
                        assert!(matches!(error, StorageError::Io { .. }), "{error}");
                    }
                }
                assert!(store.poisoned().is_some());
                // The disk works again, but nobody can know what it holds.
                let error = run(store.write(&second)).expect_err("poisoned");
                assert!(matches!(error, StorageError::Poisoned { .. }), "{error}");
                assert!(error.to_string().contains("takes no more writes"), "{error}");
                // A new start reads what is really there.
                let found = recovered(&disk.files()).expect("not damaged");
                assert!(found.entries.len() == 1 || found.entries.len() == 2);
            }
        }
    }
}

#[test]
fn what_recovery_returns_is_durable() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk, 1 << 20).expect("a fresh disk");
    let batch = [Model::default().appending([b"value".to_vec()])];
    // The process dies between write and sync, and starts again.
    disk.trouble_at(disk.operations() + 1, Trouble::Fails);
    run(store.write(&batch)).expect_err("not synced");
    let (_, restored) = open(&disk, 1 << 20).expect("a restart");
    assert_eq!(restored.entries.len(), 1, "the system still had it");
    let after = disk.after_power_cut(Survives::Nothing);
    assert_eq!(recovered(&after.files()).expect("whole").entries, restored.entries);
}

#[test]
fn the_log_survives_on_a_real_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = RealDisk(folder.path().to_owned());
    let mut model = Model::default();
    for start in 0..4_u64 {
        let opened = run(Store::open(disk.clone(), FOLDER, small(2_000)));
        let (mut store, restored) = opened.expect("it can be opened");
        assert_eq!(Model::from(restored), model);
        for round in 0..10_usize {
            let mut batch = model.appending([vec![round as u8; 100 * round]]);
            batch.hard_state = Some(voted(10 * start + round as u64));
            run(store.write(std::slice::from_ref(&batch))).expect("the disk works");
            model.apply(&batch);
        }
    }
    let names = std::fs::read_dir(folder.path().join(FOLDER)).expect("a folder");
    let names = names.map(|entry| entry.expect("an entry").path());
    let last = names.filter(|path| path.extension().is_some_and(|it| it == "wal")).count();
    assert!(last > 5, "{last} segments");
    let segment = folder.path().join(FOLDER).join(format!("{last:016}.wal"));
    let length = std::fs::metadata(&segment).expect("a segment").len();
    let file = std::fs::OpenOptions::new().write(true).open(segment).expect("a segment");
    file.set_len(length - 1).expect("cut");
    let (store, restored) =
        run(Store::open(disk, FOLDER, small(2_000))).expect("torn, not damaged");
    assert_eq!(restored.entries, model.entries[..39]);
    assert!(store.recovered().torn_bytes > 900);
}

/// One step of a log's life, relative to what it holds.
#[derive(Clone, Debug)]
struct Step {
    back: u64,
    sizes: Vec<usize>,
    term: Option<u64>,
    /// Whether it is committed together with the step before.
    joined: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let sizes = prop::collection::vec(prop_oneof![0..20_usize, 0..1500_usize], 0..4);
    let term = prop::option::weighted(0.3, 1..50_u64);
    let step = (prop_oneof![3 => Just(0), 1 => 0..6_u64], sizes, term, any::<bool>())
        .prop_map(|(back, sizes, term, joined)| Step { back, sizes, term, joined });
    prop::collection::vec(step, 1..10)
}

/// The groups that the steps make, and the model after each of them.
fn groups(steps: &[Step], mut model: Model) -> Vec<(Vec<Persist>, Model)> {
    let mut groups: Vec<(Vec<Persist>, Model)> = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let from = LogIndex(model.next().0.saturating_sub(step.back).max(1));
        let mut base = model.clone();
        base.entries.truncate(from.0 as usize - 1);
        let mut batch = base.appending(step.sizes.iter().map(|size| vec![number as u8; *size]));
        batch.truncate_from = Some(from).filter(|from| *from < model.next());
        batch.hard_state = step.term.map(voted);
        model.apply(&batch);
        match groups.last_mut() {
            Some((group, after)) if step.joined => {
                group.push(batch);
                *after = model.clone();
            }
            _ => groups.push((vec![batch], model.clone())),
        }
    }
    groups
}

/// Runs the groups until the disk gives up; how many were acknowledged.
fn live(disk: &MemoryDisk, groups: &[(Vec<Persist>, Model)]) -> usize {
    let Ok((mut store, _)) = open(disk, 2_000) else { return 0 };
    groups.iter().take_while(|(group, _)| run(store.write(group)).is_ok()).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_crash_at_every_operation_keeps_what_was_acknowledged(
        steps in steps(),
        more in steps(),
        survivors: u64,
        kept in 0..4000_usize,
    ) {
        let planned = groups(&steps, Model::default());
        let whole = MemoryDisk::default();
        prop_assert_eq!(live(&whole, &planned), planned.len());
        for crash in 0..=whole.operations() {
            let disk = MemoryDisk::default();
            disk.trouble_at(crash, Trouble::Dead);
            let acknowledged = live(&disk, &planned);
            let modes = [
                Survives::Nothing,
                Survives::Everything,
                Survives::Bytes(kept),
                Survives::Sectors(survivors),
            ];
            for survives in modes {
                let disk = disk.after_power_cut(survives);
                let (mut store, restored) = open(&disk, 2_000)?;
                let found = Model::from(restored);
                let before = |count: usize| {
                    count.checked_sub(1).map_or_else(Model::default, |at| planned[at].1.clone())
                };
                let one_more = acknowledged + 1;
                prop_assert!(
                    found == before(acknowledged)
                        || one_more <= planned.len() && found == before(one_more),
                    "crash at {}, {:?}: {} acknowledged", crash, survives, acknowledged
                );
                // Life goes on, and the end of it is found again.
                let mut last = found.clone();
                for (group, after) in groups(&more, found) {
                    run(store.write(&group))?;
                    last = after;
                }
                prop_assert_eq!(recovered(&disk.files())?, last);
            }
        }
    }

    #[test]
    fn any_bytes_in_a_segment_are_refused_or_read_but_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        at in any::<prop::sample::Index>(),
    ) {
        let name = format!("{FOLDER}/0000000000000001.wal");
        let _ = recovered(&BTreeMap::from([(name, bytes.clone())]));
        let mut files = three_segments().files;
        for file in files.values_mut() {
            let at = at.index(file.len());
            let end = file.len().min(at + bytes.len());
            file[at..end].copy_from_slice(&bytes[..end - at]);
        }
        let _ = recovered(&files);
    }
}

#[cfg(feature = "buggify")]
mod planted {
    use proconsul::base::Faults;
    use proconsul::driver::persist::Options;
    use proconsul::raft::HardState;

    use super::*;

    fn with_plant(name: &str) -> Options {
        Options { faults: Faults::armed(Some(name), None), ..Options::default() }
    }

    /// What a power cut leaves of three batches, all acknowledged.
    fn after_three_batches(plant: &str) -> (Model, Model) {
        let disk = MemoryDisk::default();
        let opened = run(Store::open(disk.clone(), FOLDER, with_plant(plant)));
        let (mut store, _) = opened.expect("a fresh disk");
        let mut model = Model::default();
        for term in 1..=3 {
            let mut batch = model.appending([b"value".to_vec()]);
            batch.hard_state = Some(voted(term));
            run(store.write(std::slice::from_ref(&batch))).expect("acknowledged");
            model.apply(&batch);
        }
        let disk = disk.after_power_cut(Survives::Nothing);
        let opened = run(Store::open(disk, FOLDER, with_plant(plant)));
        (opened.expect("a restart").1.into(), model)
    }

    #[test]
    fn without_sync_acknowledged_entries_are_lost() {
        let (found, model) = after_three_batches("storage-skips-sync");
        assert!(found.entries.is_empty() && model.entries.len() == 3);
    }

    #[test]
    fn recovery_that_drops_the_tail_loses_an_acknowledged_entry() {
        let (found, model) = after_three_batches("storage-drops-tail-record");
        assert_eq!(found.entries, model.entries[..2]);
    }

    #[test]
    fn an_unwritten_hard_state_is_a_forgotten_vote() {
        let (found, model) = after_three_batches("hard-state-not-written");
        assert_eq!((found.entries, found.hard_state), (model.entries, HardState::default()));
    }
}
