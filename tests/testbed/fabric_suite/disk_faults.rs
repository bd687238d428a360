//! Disks that are slow, full, lying, failing and rotten.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

use proconsul::base::runtime::{Disk, File, Runtime};
use proconsul::base::{Duration, Ratio};
use sim_runner::fabric::{
    Damage, DiskFaults, DiskPolicy, IoErrors, Keep, LinkPolicy, NextCut, SimDisk, Strikes,
};

use super::{Machines, run, run_with};

fn disk(net: &Machines) -> SimDisk {
    net.on_b.disk(Path::new("/data"))
}

async fn synced(disk: &SimDisk, path: &str, content: &[u8]) -> <SimDisk as Disk>::File {
    let file = disk.open(path, true).await.unwrap();
    file.write_at(0, content).await.unwrap();
    file.sync().await.unwrap();
    disk.sync_dir("").await.unwrap();
    file
}

fn power_cycle(net: &Machines, keep: Keep) -> SimDisk {
    net.fabric.kill(net.b, keep);
    net.fabric.start(net.b).disk(Path::new("/data"))
}

fn failing(which: Strikes, read: bool, write: bool, sync: bool) -> DiskFaults {
    let errors = IoErrors { id: 1, read, write, sync, which };
    DiskFaults { io_errors: vec![errors], ..DiskFaults::default() }
}

#[test]
fn reads_and_writes_take_the_time_they_are_told_to() {
    run(|net| async move {
        let millis = Duration::from_millis;
        let log = synced(&disk(&net), "log", b"content").await;
        let policy = DiskPolicy {
            read_low: millis(3),
            read_high: millis(3),
            write_low: millis(5),
            write_high: millis(8),
            ..DiskPolicy::default()
        };
        net.fabric.set_disk(net.b, policy);
        let start = net.on_b.now();
        log.read_at(0, &mut [0; 4]).await.unwrap();
        assert_eq!(net.on_b.now().since(start).as_millis(), 3);
        let start = net.on_b.now();
        log.write_at(0, b"x").await.unwrap();
        assert!((5..8).contains(&net.on_b.now().since(start).as_millis()));
    });
}

#[test]
fn a_slow_disk_adds_to_each_fsync_and_not_to_the_machine_s_clock() {
    run(|net| async move {
        let log = synced(&disk(&net), "log", b"").await;
        let by = (Duration::from_millis(100), Duration::from_millis(200));
        let slow = DiskFaults { slower_sync: Some(by), ..DiskFaults::default() };
        net.fabric.set_disk_faults(net.b, slow);
        // A disk does not turn slower because a clock does.
        net.fabric.set_drift(net.b, -500_000);
        let start = net.fabric.now();
        log.sync().await.unwrap();
        let took = net.fabric.now().since(start);
        assert!((100..203).contains(&took.as_millis()), "{took:?}");
        net.fabric.set_disk_faults(net.b, DiskFaults::default());
        let start = net.fabric.now();
        log.sync().await.unwrap();
        assert!(net.fabric.now().since(start).as_millis() <= 2);
    });
}

#[test]
fn a_full_disk_takes_what_fits_and_overwriting_needs_no_room() {
    run(|net| async move {
        let log = synced(&disk(&net), "log", &[1; 100]).await;
        net.fabric.set_disk(net.b, DiskPolicy { capacity: Some(150), ..DiskPolicy::default() });
        log.write_at(50, &[2; 50]).await.unwrap();
        let error = log.write_at(90, &[3; 100]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert_eq!(log.len().await.unwrap(), 150);
        assert_eq!(log.set_len(200).await.unwrap_err().kind(), ErrorKind::StorageFull);
        assert!(net.heard.contains("struck 1 disk-full /data/log"));
        log.set_len(10).await.unwrap();
        let second = disk(&net).open("second", true).await.unwrap();
        second.write_at(0, &[4; 140]).await.unwrap();
        assert!(second.write_at(140, &[4]).await.is_err());
        net.fabric.set_disk(net.b, DiskPolicy::default());
        second.write_at(140, &[4]).await.unwrap();
    });
}

#[test]
fn the_nth_operation_fails_and_no_other() {
    run(|net| async move {
        let log = synced(&disk(&net), "log", b"content").await;
        net.fabric.set_disk_faults(net.b, failing(Strikes::Nth(2), false, true, false));
        log.write_at(0, b"1").await.unwrap();
        let error = log.write_at(0, b"2").await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(5), "{error}");
        log.write_at(0, b"3").await.unwrap();
        log.sync().await.unwrap();
        assert_eq!(log.read_at(0, &mut [0; 1]).await.unwrap(), 1);
        assert!(net.heard.contains("struck 1 io-error /data/log write"));
    });
}

#[test]
fn a_ratio_of_operations_fails_and_the_seed_says_which() {
    let failures = |seed: u64| {
        let (send, told) = std::sync::mpsc::channel();
        run_with(seed, LinkPolicy::default(), move |net: Machines| async move {
            let log = synced(&disk(&net), "log", b"content").await;
            let third = Strikes::Ratio(Ratio::new(1, 3));
            net.fabric.set_disk_faults(net.b, failing(third, true, false, false));
            let mut failed = Vec::new();
            for number in 0..60 {
                if log.read_at(0, &mut [0; 1]).await.is_err() {
                    failed.push(number);
                }
            }
            send.send(failed).unwrap();
        });
        told.recv().unwrap()
    };
    let first = failures(1);
    assert!((8..35).contains(&first.len()), "{first:?}");
    assert_eq!(first, failures(1));
    assert_ne!(first, failures(2));
}

#[test]
fn after_a_failed_fsync_the_next_one_succeeds_and_the_data_is_lost_all_the_same() {
    run(|net| async move {
        let log = synced(&disk(&net), "log", b"old").await;
        net.fabric.set_disk_faults(net.b, failing(Strikes::Nth(1), false, false, true));
        log.write_at(0, b"new").await.unwrap();
        assert!(log.sync().await.is_err());
        log.sync().await.unwrap();
        let mut seen = [0; 3];
        log.read_at(0, &mut seen).await.unwrap();
        assert_eq!(&seen, b"new", "the cache has it");
        let after = power_cycle(&net, Keep::All);
        assert_eq!(after.read("log").await.unwrap(), b"old");
    });
}

#[test]
fn a_lying_fsync_makes_nothing_durable_and_an_honest_one_makes_up_for_it() {
    run(|net| async move {
        let log = synced(&disk(&net), "log", b"old").await;
        let lying = DiskFaults { sync_lies: true, ..DiskFaults::default() };
        net.fabric.set_disk_faults(net.b, lying.clone());
        log.write_at(0, b"new").await.unwrap();
        log.sync().await.unwrap();
        let after = power_cycle(&net, Keep::Synced);
        assert_eq!(after.read("log").await.unwrap(), b"old");
        assert!(net.heard.contains("struck 1 fsync-lies /data/log"));

        let log = after.open("log", false).await.unwrap();
        log.write_at(0, b"new").await.unwrap();
        log.sync().await.unwrap();
        net.fabric.set_disk_faults(net.b, DiskFaults::default());
        log.sync().await.unwrap();
        let last = power_cycle(&net, Keep::Synced);
        assert_eq!(last.read("log").await.unwrap(), b"new");
    });
}

#[test]
fn the_next_power_cut_loses_what_it_was_told_to_and_the_one_after_does_not() {
    run(|net| async move {
        let log = synced(&disk(&net), "log", b"old").await;
        log.write_at(0, b"new").await.unwrap();
        net.fabric.set_next_cut(net.b, NextCut { lose_unsynced: true, torn_write: false });
        let after = power_cycle(&net, Keep::All);
        assert_eq!(after.read("log").await.unwrap(), b"old");
        let log = after.open("log", false).await.unwrap();
        log.write_at(0, b"new").await.unwrap();
        let last = power_cycle(&net, Keep::All);
        assert_eq!(last.read("log").await.unwrap(), b"new");
    });
}

/// What is left of 4 sectors of 1, overwritten by 3 sectors of 2 from the middle of the first on.
fn torn(seed: u64) -> Vec<u8> {
    let (send, left) = std::sync::mpsc::channel();
    run_with(seed, LinkPolicy::default(), move |net: Machines| async move {
        let log = synced(&disk(&net), "log", &[1; 2048]).await;
        log.write_at(256, &[2; 1536]).await.unwrap();
        net.fabric.set_next_cut(net.b, NextCut { lose_unsynced: false, torn_write: true });
        let after = power_cycle(&net, Keep::Synced);
        assert!(net.heard.contains("struck 1 torn-write /data/log"));
        send.send(after.read("log").await.unwrap()).unwrap();
    });
    left.recv().unwrap()
}

#[test]
fn a_torn_write_leaves_some_sectors_old_and_some_new() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..30 {
        let left = torn(seed);
        assert_eq!(left.len(), 2048);
        assert!(left[..256].iter().chain(&left[1792..]).all(|byte| *byte == 1), "not written to");
        let pieces = [&left[256..512], &left[512..1024], &left[1024..1536], &left[1536..1792]];
        let pieces = pieces.map(|piece| {
            assert!(piece.iter().all(|byte| *byte == piece[0]), "a sector is whole");
            piece[0]
        });
        assert!(pieces.contains(&1) && pieces.contains(&2), "{pieces:?}");
        outcomes.insert(pieces);
        assert_eq!(left, torn(seed), "one seed, one outcome");
    }
    assert!(outcomes.len() > 5, "{outcomes:?}");
}

#[test]
fn rot_flips_bits_for_readers_and_on_the_platter_in_the_chosen_files_only() {
    run(|net| async move {
        synced(&disk(&net), "log", &[0; 4096]).await;
        synced(&disk(&net), "other", &[0; 4096]).await;
        let chosen = |path: &str| path == "/data/log";
        assert_eq!(net.fabric.damage(net.b, Damage::BitRot, 3, chosen), 3);
        let ones = |bytes: Vec<u8>| bytes.iter().map(|byte| byte.count_ones()).sum::<u32>();
        let live = disk(&net).read("log").await.unwrap();
        assert_eq!(ones(live.clone()), 3);
        assert_eq!(ones(disk(&net).read("other").await.unwrap()), 0);
        let after = power_cycle(&net, Keep::Synced);
        assert_eq!(after.read("log").await.unwrap(), live);
        assert_eq!(net.fabric.damage(net.b, Damage::BitRot, 1, |path| path == "/none"), 0);
        assert!(net.heard.contains("struck 1 bit-rot /data/log bit "));
    });
}

#[test]
fn a_misdirected_sector_stands_elsewhere_and_zeros_in_its_place() {
    run(|net| async move {
        let content: Vec<u8> = (1..=4_u8).flat_map(|sector| [sector; 512]).collect();
        synced(&disk(&net), "log", &content).await;
        assert_eq!(net.fabric.damage(net.b, Damage::Misdirect, 1, |_| true), 1);
        let found = disk(&net).read("log").await.unwrap();
        let sectors: Vec<u8> = found.chunks(512).map(|sector| sector[0]).collect();
        assert_eq!(sectors.iter().filter(|sector| **sector == 0).count(), 1, "{sectors:?}");
        let from = sectors.iter().position(|sector| *sector == 0).unwrap() as u8 + 1;
        assert_eq!(sectors.iter().filter(|sector| **sector == from).count(), 1, "{sectors:?}");
    });
}

#[test]
fn a_folder_is_removed_durably_with_all_that_is_in_it() {
    run(|net| async move {
        let data = disk(&net);
        data.create_dir_all("raft").await.unwrap();
        synced(&data, "log", b"x").await;
        data.open("raft/1", true).await.unwrap();
        assert_eq!(net.fabric.remove_folder(net.b, "/data"), 2);
        let after = power_cycle(&net, Keep::All);
        assert!(after.read_dir("").await.unwrap().is_empty());
        assert!(net.fabric.list_files(net.b).is_empty());
    });
}

#[test]
fn a_file_that_the_testbed_writes_is_durable_whatever_was_pending_under_its_name() {
    run(|net| async move {
        let data = disk(&net);
        data.open("peers.json", true).await.unwrap();
        data.remove("peers.json").await.unwrap();
        net.fabric.write_file(net.b, "/data/peers.json", b"[]").unwrap();
        data.sync_dir("").await.unwrap();
        let after = power_cycle(&net, Keep::Synced);
        assert_eq!(after.read("peers.json").await.unwrap(), b"[]");
    });
}

#[test]
fn a_command_beside_the_process_ends_with_the_power_and_not_with_the_process() {
    run(|net| async move {
        assert!(net.fabric.visit(net.c).is_none(), "no power, no command");
        let guest = net.fabric.visit(net.b).expect("it has power");
        net.fabric.terminate(net.b);
        assert!(guest.is_alive() && !net.on_b.is_alive());
        guest.disk(Path::new("/data")).open("note", true).await.unwrap();
        net.fabric.kill(net.b, Keep::All);
        assert!(!guest.is_alive());
    });
}
