//! The write-ahead log: what a crash may leave, and what must come back from it.

use std::collections::BTreeMap;

use bytes::Bytes;
use proconsul::base::{Faults, LogIndex, PersistId, Prng, ServerAddress, Term};
use proconsul::driver::persist::{LogStore, Options, StorageError};
use proconsul::raft::{Entry, EntryKind, HardState, Persist, Restored, Vote};
use proptest::prelude::*;

use crate::persist_disk::{MemoryDisk, RealDisk, Survives, Trouble, abandon, run, write_sectors};

const FOLDER: &str = "raft/log";

/// What a log must hold: the plainest thing that can.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    hard_state: HardState,
    entries: Vec<Entry>,
}

impl Model {
    fn apply(&mut self, batch: &Persist) {
        if let Some(state) = &batch.hard_state {
            self.hard_state = state.clone();
        }
        if let Some(from) = batch.truncate_from {
            self.entries.retain(|entry| entry.index < from);
        }
        self.entries.extend(batch.append.iter().cloned());
    }

    fn next(&self) -> LogIndex {
        LogIndex(self.entries.len() as u64 + 1)
    }

    /// A batch that appends entries with these data.
    fn appending(&self, data: impl IntoIterator<Item = Vec<u8>>) -> Persist {
        let append = (self.next().0..)
            .zip(data)
            .map(|(index, data)| Entry {
                index: LogIndex(index),
                term: Term(1 + index / 100),
                kind: EntryKind::Command,
                data: Bytes::from(data),
            })
            .collect();
        Persist { id: PersistId(0), hard_state: None, truncate_from: None, append }
    }
}

impl From<Restored> for Model {
    fn from(restored: Restored) -> Self {
        Self { hard_state: restored.hard_state, entries: restored.entries }
    }
}

fn voted(term: u64) -> HardState {
    let vote = Vote { term: Term(term), candidate: ServerAddress::from("10.0.0.1:8300") };
    HardState { term: Term(term), vote: Some(vote).filter(|_| term % 2 == 1) }
}

fn small(segment_bytes: u64) -> Options {
    Options { segment_bytes, faults: Faults::none() }
}

type Opened = Result<(LogStore<MemoryDisk>, Restored), StorageError>;

fn open(disk: &MemoryDisk, segment_bytes: u64) -> Opened {
    run(LogStore::open(disk.clone(), FOLDER, small(segment_bytes)))
}

fn recovered(files: &BTreeMap<String, Vec<u8>>) -> Result<Model, StorageError> {
    open(&MemoryDisk::holding(files), 1 << 20).map(|(_, restored)| restored.into())
}

/// A log, group by group: the files after each commit, and what they hold then.
struct Written {
    files: BTreeMap<String, Vec<u8>>,
    /// After each group: in which file it ends, where, and the state.
    groups: Vec<(String, usize, Model)>,
}

/// Commits these groups of batches.
fn written(segment_bytes: u64, groups: impl IntoIterator<Item = Vec<Persist>>) -> Written {
    let disk = MemoryDisk::default();
    let (mut store, restored) = open(&disk, segment_bytes).expect("a fresh disk");
    let mut model = Model::from(restored);
    let mut ends = Vec::new();
    for group in groups {
        run(store.write(&group)).expect("the disk works");
        group.iter().for_each(|batch| model.apply(batch));
        let files = disk.files();
        let (name, bytes) = files.last_key_value().expect("a segment");
        ends.push((name.clone(), bytes.len(), model.clone()));
    }
    Written { files: disk.files(), groups: ends }
}

/// A thousand entries in groups of one to nine, with hard states and truncations between.
fn thousand_entries() -> Vec<Vec<Persist>> {
    let mut random = Prng::new(7);
    let mut model = Model::default();
    let mut groups = Vec::new();
    let mut term = 0;
    while model.entries.len() < 1000 {
        let mut group = Vec::new();
        for _ in 0..random.range(1, 4) {
            let sizes: Vec<_> = (0..random.range(1, 4)).map(|_| random.below(16)).collect();
            let mut batch = model.appending(sizes.iter().map(|size| vec![7; *size as usize]));
            if random.below(8) == 0 {
                term += 1;
                batch.hard_state = Some(voted(term));
            }
            model.apply(&batch);
            group.push(batch);
        }
        if random.below(10) == 0 && model.entries.len() > 5 {
            let from = LogIndex(model.next().0 - 3);
            let mut batch =
                Model { entries: model.entries[..from.0 as usize - 1].to_vec(), ..model.clone() }
                    .appending([b"again".to_vec()]);
            batch.truncate_from = Some(from);
            model.apply(&batch);
            group.push(batch);
        }
        groups.push(group);
    }
    groups
}

#[test]
fn every_prefix_of_the_stream_recovers_to_what_was_acknowledged_in_it() {
    let log = written(6_000, thousand_entries());
    assert!(log.files.len() >= 4, "{} segments", log.files.len());
    let empty = Model::default();
    let mut prefix = BTreeMap::new();
    let mut acknowledged = 0;
    for (name, bytes) in &log.files {
        for cut in 0..=bytes.len() {
            prefix.insert(name.clone(), bytes[..cut].to_vec());
            let whole = |group: &(String, usize, Model)| (&group.0, group.1) <= (name, cut);
            while log.groups.get(acknowledged).is_some_and(whole) {
                acknowledged += 1;
            }
            let expected = acknowledged.checked_sub(1).map_or(&empty, |at| &log.groups[at].2);
            let found = recovered(&prefix);
            assert_eq!(found.as_ref().ok(), Some(expected), "{name} cut at {cut}");
        }
    }
    assert_eq!(acknowledged, log.groups.len());
}

/// A group before, of this many bytes of data, and a last one of about six sectors.
fn with_large_last_group(before: usize, last: &[Vec<u8>]) -> (Written, usize) {
    let mut model = Model::default();
    let first = model.appending([vec![1; before]]);
    model.apply(&first);
    let mut second = model.appending(last.iter().cloned());
    second.hard_state = Some(voted(3));
    let log = written(1 << 20, [vec![first], vec![second]]);
    let start = log.groups[0].1;
    (log, start)
}

#[test]
fn every_torn_last_write_is_cut_off_and_the_log_goes_on() {
    let values = [vec![9; 700], vec![0; 1300], vec![5; 600]];
    for before in [0, 11, 300, 411, 412, 413, 430, 436, 437, 438, 439, 440, 480] {
        let (log, start) = with_large_last_group(before, &values);
        let (name, whole) = log.files.first_key_value().expect("one segment");
        let data = &whole[start..];
        let sectors = (whole.len() - 1) / 512 - start / 512 + 1;
        let torn_by_length = (0..data.len()).map(|kept| whole[..start + kept].to_vec());
        let torn_and_extended = (0..data.len()).map(|kept| {
            let mut bytes = whole[..start + kept].to_vec();
            bytes.resize(whole.len(), 0);
            bytes
        });
        let torn_by_sector = (0..1_u64 << sectors).map(|mask| {
            let mut bytes = whole[..start].to_vec();
            write_sectors(&mut bytes, start, data, mask);
            bytes
        });
        for bytes in torn_by_length.chain(torn_and_extended).chain(torn_by_sector) {
            let expected = &log.groups[usize::from(bytes == *whole)].2;
            let disk = MemoryDisk::holding(&BTreeMap::from([(name.clone(), bytes)]));
            let (mut store, restored) = open(&disk, 1 << 20).expect("torn, not damaged");
            let mut model = Model::from(restored);
            assert_eq!(model, *expected);
            let next = model.appending([b"next".to_vec()]);
            run(store.write(std::slice::from_ref(&next))).expect("the disk works");
            model.apply(&next);
            assert_eq!(recovered(&disk.files()).expect("whole"), model);
        }
    }
}

fn three_segments() -> Written {
    let mut model = Model::default();
    let groups = (0..18).map(|round| {
        let value = if round % 4 == 0 { vec![0; 1100] } else { vec![round as u8; 40] };
        let mut batch = model.appending([value, b"x".to_vec()]);
        batch.hard_state = Some(voted(round)).filter(|_| round % 5 == 0);
        model.apply(&batch);
        vec![batch]
    });
    let log = written(3_000, groups);
    assert_eq!(log.files.len(), 3);
    log
}

#[test]
fn every_changed_byte_of_what_was_acknowledged_is_refused() {
    let log = three_segments();
    for (name, bytes) in &log.files {
        for at in 0..bytes.len() {
            for mask in [0x01, 0x80] {
                let mut files = log.files.clone();
                files.get_mut(name).expect("it is there")[at] ^= mask;
                match recovered(&files) {
                    Err(StorageError::Corrupt { file, offset, .. }) => {
                        assert_eq!(file, *name);
                        assert!(offset <= at as u64, "{name}: byte {at} blamed on {offset}");
                    }
                    other => panic!("{name}: byte {at} ^ {mask:#x} gave {other:?}"),
                }
            }
        }
    }
}

#[test]
fn a_zeroed_sector_before_the_last_group_is_refused() {
    let log = three_segments();
    let end = log.groups[log.groups.len() - 2].1;
    for (name, bytes) in &log.files {
        let last = log.files.last_key_value().is_some_and(|(last, _)| last == name);
        let reach = if last { end } else { bytes.len() };
        for start in (0..reach).step_by(512) {
            let mut files = log.files.clone();
            let sector =
                &mut files.get_mut(name).expect("it is there")[start..reach.min(start + 512)];
            if sector.iter().all(|byte| *byte == 0) {
                continue;
            }
            sector.fill(0);
            let found = recovered(&files);
            assert!(
                matches!(&found, Err(StorageError::Corrupt { file, .. }) if file == name),
                "{found:?}"
            );
        }
    }
}

#[test]
fn missing_cut_and_exchanged_segments_are_refused() {
    let log = three_segments();
    let names: Vec<&String> = log.files.keys().collect();
    for name in &names[..2] {
        let mut files = log.files.clone();
        files.remove(*name);
        let found = recovered(&files);
        assert!(
            matches!(&found, Err(StorageError::Corrupt { file, .. }) if file == *name),
            "{found:?}"
        );
    }
    for cut in (0..log.files[names[1]].len()).step_by(7) {
        let mut files = log.files.clone();
        files.get_mut(names[1]).expect("it is there").truncate(cut);
        assert!(matches!(recovered(&files), Err(StorageError::Corrupt { .. })), "cut at {cut}");
    }
    let mut files = log.files.clone();
    files.insert(names[0].clone(), log.files[names[1]].clone());
    files.insert(names[1].clone(), log.files[names[0]].clone());
    let error = recovered(&files).expect_err("exchanged").to_string();
    assert!(error.contains("expected segment 1 from group 1"), "{error}");
}

#[test]
fn a_refusal_names_file_place_expectation_and_remedy() {
    let log = three_segments();
    let mut files = log.files.clone();
    let name = format!("{FOLDER}/0000000000000002.wal");
    files.get_mut(&name).expect("it is there")[60] ^= 4;
    let text = recovered(&files).expect_err("damaged").to_string();
    for part in [&name, "at byte 40", "expected the record of group", "backup", "rejoin"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn segments_begin_with_the_hard_state_and_are_not_longer_than_asked() {
    let log = three_segments();
    assert!(log.files.values().all(|bytes| bytes.len() < 3_000 + 1_300));
    assert_eq!(recovered(&log.files).expect("whole"), log.groups.last().expect("groups").2);
}

#[test]
fn batches_that_change_nothing_touch_nothing() {
    let disk = MemoryDisk::default();
    let (mut store, _) = open(&disk, 1 << 20).expect("a fresh disk");
    let before = (disk.operations(), disk.files());
    run(store.write(&[Model::default().appending([])])).expect("nothing to do");
    assert_eq!((disk.operations(), disk.files()), before);
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
        let opened = run(LogStore::open(disk.clone(), FOLDER, small(2_000)));
        let (mut store, restored) = opened.expect("it can be opened");
        assert_eq!(Model::from(restored), model);
        for round in 0..10_usize {
            let mut batch = model.appending([vec![round as u8; 100 * round]]);
            batch.hard_state = Some(voted(10 * start + round as u64));
            run(store.write(std::slice::from_ref(&batch))).expect("the disk works");
            model.apply(&batch);
        }
    }
    let last = std::fs::read_dir(folder.path().join(FOLDER)).expect("a folder").count();
    assert!(last > 5, "{last} segments");
    let segment = folder.path().join(FOLDER).join(format!("{last:016}.wal"));
    let length = std::fs::metadata(&segment).expect("a segment").len();
    let file = std::fs::OpenOptions::new().write(true).open(segment).expect("a segment");
    file.set_len(length - 1).expect("cut");
    let (store, restored) =
        run(LogStore::open(disk, FOLDER, small(2_000))).expect("torn, not damaged");
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
    use super::*;

    fn with_plant(name: &str) -> Options {
        Options { segment_bytes: 1 << 20, faults: Faults::armed(Some(name), None) }
    }

    /// What a power cut leaves of three batches, all acknowledged.
    fn after_three_batches(plant: &str) -> (Model, Model) {
        let disk = MemoryDisk::default();
        let opened = run(LogStore::open(disk.clone(), FOLDER, with_plant(plant)));
        let (mut store, _) = opened.expect("a fresh disk");
        let mut model = Model::default();
        for term in 1..=3 {
            let mut batch = model.appending([b"value".to_vec()]);
            batch.hard_state = Some(voted(term));
            run(store.write(std::slice::from_ref(&batch))).expect("acknowledged");
            model.apply(&batch);
        }
        let disk = disk.after_power_cut(Survives::Nothing);
        let opened = run(LogStore::open(disk, FOLDER, with_plant(plant)));
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
