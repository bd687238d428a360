//! Recovery: a torn last write is cut off, damage to what was acknowledged is noticed.

use std::collections::BTreeMap;

use proconsul::driver::persist::StorageError;

use crate::persist_disk::{MemoryDisk, Survives, Trouble, run, write_sectors};
use crate::persist_model::{
    FOLDER, Model, Written, open, recovered, thousand_entries, undamaged, voted, written,
};

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

#[test]
fn a_crash_during_recovery_changes_nothing() {
    let (log, start) = with_large_last_group(430, &[vec![9; 700], vec![5; 600]]);
    let (name, whole) = log.files.first_key_value().expect("one segment");
    for kept in [start + 5, start + 200, whole.len() - 1, whole.len()] {
        let files = BTreeMap::from([(name.clone(), whole[..kept].to_vec())]);
        let expected = recovered(&files).expect("torn, not damaged");
        for crash in 0..6 {
            for survives in [Survives::Nothing, Survives::Everything] {
                let disk = MemoryDisk::holding(&files);
                disk.trouble_at(crash, Trouble::Dead);
                let _ = open(&disk, 1 << 20);
                let after = disk.after_power_cut(survives);
                assert_eq!(recovered(&after.files()).expect("as before"), expected);
            }
        }
    }
}

pub fn three_segments() -> Written {
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
fn every_changed_byte_of_what_was_acknowledged_is_noticed() {
    let log = three_segments();
    for (name, bytes) in &log.files {
        for at in 0..bytes.len() {
            for mask in [0x01, 0x80] {
                let mut files = log.files.clone();
                files.get_mut(name).expect("it is there")[at] ^= mask;
                match undamaged(&files) {
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
fn every_changed_byte_of_the_last_group_is_noticed() {
    // Among them bytes of sectors that are zeros by right, as a lost sector would be.
    for before in [0, 300, 437] {
        let (log, start) =
            with_large_last_group(before, &[vec![9; 100], vec![0; 1300], vec![5; 9]]);
        let (name, whole) = log.files.first_key_value().expect("one segment");
        for at in start..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            let found = undamaged(&BTreeMap::from([(name.clone(), bytes)]));
            assert!(matches!(found, Err(StorageError::Corrupt { .. })), "byte {at}: {found:?}");
        }
    }
}

#[test]
fn a_zeroed_range_before_the_last_group_is_noticed() {
    let mut model = Model::default();
    let groups = (0..30).map(|round| {
        let batch = model.appending([vec![round as u8; 20 * round]]);
        model.apply(&batch);
        vec![batch]
    });
    let log = written(1 << 20, groups);
    let (name, whole) = log.files.first_key_value().expect("one segment");
    let reach = log.groups[log.groups.len() - 2].1;
    for length in [1, 30, 512, 1024] {
        for start in (0..reach - length).step_by(11) {
            let mut bytes = whole.clone();
            bytes[start..start + length].fill(0);
            if bytes == *whole {
                continue;
            }
            let found = undamaged(&BTreeMap::from([(name.clone(), bytes)]));
            assert!(matches!(found, Err(StorageError::Corrupt { .. })), "{length} at {start}");
        }
    }
}

#[test]
fn missing_cut_and_exchanged_segments_are_noticed() {
    let log = three_segments();
    let names: Vec<&String> = log.files.keys().collect();
    for name in &names[..2] {
        let mut files = log.files.clone();
        files.remove(*name);
        let missing = match undamaged(&files) {
            Err(StorageError::Corrupt { file, what, .. }) => format!("{file}: {what}"),
            other => panic!("without {name}: {other:?}"),
        };
        let gone = ["raft/snapshots: expected a snapshot of entry", name.as_str()];
        assert!(gone.iter().any(|text| missing.starts_with(text)), "{missing}");
    }
    for cut in (0..log.files[names[1]].len()).step_by(7) {
        let mut files = log.files.clone();
        files.get_mut(names[1]).expect("it is there").truncate(cut);
        assert!(matches!(undamaged(&files), Err(StorageError::Corrupt { .. })), "cut at {cut}");
    }
    let mut files = log.files.clone();
    files.insert(names[0].clone(), log.files[names[1]].clone());
    files.insert(names[1].clone(), log.files[names[0]].clone());
    let error = undamaged(&files).expect_err("exchanged").to_string();
    assert!(error.contains("expected segment 1, found segment 2"), "{error}");
}

#[test]
fn a_refusal_names_file_place_expectation_and_remedy() {
    let log = three_segments();
    let mut files = log.files.clone();
    let name = format!("{FOLDER}/0000000000000002.wal");
    files.get_mut(&name).expect("it is there")[60] ^= 4;
    let text = undamaged(&files).expect_err("damaged").to_string();
    for part in [&name, "at byte 48", "expected the record of group", "backup", "rejoin"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn groups_end_with_the_state_and_segments_are_not_longer_than_asked() {
    let log = three_segments();
    let largest_group = 1_400;
    assert!(log.files.values().all(|bytes| bytes.len() < 3_000 + largest_group));
    assert_eq!(undamaged(&log.files).expect("whole"), log.groups.last().expect("groups").2);
    // With all segments but the last one gone, a snapshot is missing, and term and vote are not.
    let (name, bytes) = log.files.last_key_value().expect("a segment");
    let (_, restored) =
        open(&MemoryDisk::holding(&BTreeMap::from([(name.clone(), bytes.clone())])), 1 << 20)
            .expect("the hard state is known");
    assert!(restored.abstains && restored.entries.is_empty());
    assert_eq!(restored.hard_state, log.groups.last().expect("groups").2.hard_state);
}
