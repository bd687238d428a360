//! What a power cut leaves.

use std::collections::BTreeSet;
use std::path::Path;

use proconsul::base::runtime::{Disk, File, Runtime};
use proconsul::base::{Duration, Instant};
use sim_runner::fabric::{DiskPolicy, Keep, LinkPolicy, SimDisk, SimRuntime};

use super::{Machines, run, run_with};

fn disk(runtime: &SimRuntime) -> SimDisk {
    runtime.disk(Path::new("/data"))
}

fn very_slow() -> DiskPolicy {
    let (sync_low, sync_high) = (Duration::from_secs(5), Duration::from_secs(6));
    DiskPolicy { sync_low, sync_high, ..DiskPolicy::default() }
}

/// Cuts the power of `b` and starts a process there again.
fn power_cycle(net: &Machines, keep: Keep) -> SimDisk {
    net.fabric.kill(net.b, keep);
    disk(&net.fabric.start(net.b))
}

async fn create(disk: &SimDisk, path: &str, content: &[u8]) -> <SimDisk as Disk>::File {
    let file = disk.open(path, true).await.unwrap();
    file.write_at(0, content).await.unwrap();
    file
}

#[test]
fn synced_content_and_names_survive_and_the_rest_is_lost() {
    run(|net| async move {
        let before = disk(&net.on_b);
        let log = create(&before, "log", b"synced").await;
        log.sync().await.unwrap();
        before.sync_dir("").await.unwrap();
        log.write_at(6, b" and not").await.unwrap();
        create(&before, "nameless", b"content is synced").await.sync().await.unwrap();

        let after = power_cycle(&net, Keep::Synced);
        assert_eq!(after.read("log").await.unwrap(), b"synced");
        assert_eq!(after.read_dir("").await.unwrap(), ["log"]);
        assert!(net.heard.contains("lost 1 /data/log 8"));
        assert!(net.heard.contains("lost 1 /data/nameless 17"));
    });
}

#[test]
fn a_synced_name_does_not_make_content_durable() {
    run(|net| async move {
        let before = disk(&net.on_b);
        create(&before, "log", b"content").await;
        before.sync_dir("").await.unwrap();
        let after = power_cycle(&net, Keep::Synced);
        assert_eq!(after.read("log").await.unwrap(), b"");
    });
}

#[test]
fn renames_and_removals_come_back_unless_their_folder_was_synced() {
    run(|net| async move {
        let before = disk(&net.on_b);
        for name in ["kept", "state", "state.tmp"] {
            create(&before, name, name.as_bytes()).await.sync().await.unwrap();
        }
        before.sync_dir("").await.unwrap();
        before.rename("state.tmp", "state").await.unwrap();
        before.remove("kept").await.unwrap();
        let after = power_cycle(&net, Keep::Synced);
        assert_eq!(after.read_dir("").await.unwrap(), ["kept", "state", "state.tmp"]);
        assert_eq!(after.read("state").await.unwrap(), b"state");

        after.rename("state.tmp", "state").await.unwrap();
        after.remove("kept").await.unwrap();
        after.sync_dir("").await.unwrap();
        let last = power_cycle(&net, Keep::Synced);
        assert_eq!(last.read_dir("").await.unwrap(), ["state"]);
        assert_eq!(last.read("state").await.unwrap(), b"state.tmp");
    });
}

#[test]
fn what_is_below_a_lost_folder_is_lost() {
    run(|net| async move {
        let before = disk(&net.on_b);
        before.create_dir_all("raft/wal").await.unwrap();
        create(&before, "raft/wal/1", b"x").await.sync().await.unwrap();
        before.sync_dir("raft/wal").await.unwrap();
        before.sync_dir("raft").await.unwrap();
        let after = power_cycle(&net, Keep::Synced);
        assert!(after.read_dir("").await.unwrap().is_empty(), "the root was not synced");

        after.create_dir_all("raft").await.unwrap();
        after.sync_dir("").await.unwrap();
        let last = power_cycle(&net, Keep::Synced);
        assert_eq!(last.read_dir("").await.unwrap(), ["raft"]);
    });
}

#[test]
fn a_lucky_cache_keeps_everything() {
    run(|net| async move {
        let before = disk(&net.on_b);
        create(&before, "log", b"never synced").await;
        let after = power_cycle(&net, Keep::All);
        assert_eq!(after.read("log").await.unwrap(), b"never synced");
        assert!(!net.heard.contains("lost"));
    });
}

#[test]
fn the_end_of_a_process_loses_nothing() {
    run(|net| async move {
        create(&disk(&net.on_b), "log", b"page cache").await;
        net.fabric.terminate(net.b);
        let after = disk(&net.fabric.start(net.b));
        assert_eq!(after.read("log").await.unwrap(), b"page cache");
    });
}

#[test]
fn an_interrupted_sync_promises_nothing() {
    run(|net| async move {
        let slow = very_slow();
        let before = disk(&net.on_b);
        let log = create(&before, "log", b"").await;
        before.sync_dir("").await.unwrap();
        net.fabric.set_disk(net.b, slow);
        log.write_at(0, b"first").await.unwrap();
        net.on_b.spawn("sync", async move {
            log.sync().await.unwrap();
            unreachable!("the power is cut before");
        });
        net.fabric.sleep(Duration::from_secs(3)).await;
        let after = power_cycle(&net, Keep::Synced);
        assert_eq!(after.read("log").await.unwrap(), b"");
        net.fabric.sleep(Duration::from_secs(10)).await;
        assert_eq!(after.read("log").await.unwrap(), b"");
    });
}

#[test]
fn a_sync_covers_what_was_written_before_it() {
    run(|net| async move {
        let slow = very_slow();
        let before = disk(&net.on_b);
        let log = create(&before, "log", b"before").await;
        before.sync_dir("").await.unwrap();
        net.fabric.set_disk(net.b, slow);
        let writer = before.open("log", false).await.unwrap();
        let sleeper = net.on_b.clone();
        net.on_b.spawn("writer", async move {
            sleeper.sleep(Duration::from_secs(1)).await;
            writer.write_at(6, b"during").await.unwrap();
        });
        let start = net.on_b.now();
        log.sync().await.unwrap();
        assert_eq!(net.on_b.now().since(start).as_secs(), 5);
        let after = power_cycle(&net, Keep::Synced);
        assert_eq!(after.read("log").await.unwrap(), b"before");
    });
}

/// What a cut that keeps some leaves of three unsynced writes of two sectors each.
fn leftovers(seed: u64) -> Vec<u8> {
    let (send, left) = std::sync::mpsc::channel();
    run_with(seed, LinkPolicy::default(), move |net: Machines| async move {
        let before = disk(&net.on_b);
        let log = create(&before, "log", b"").await;
        before.sync_dir("").await.unwrap();
        for number in 0..3_u8 {
            log.write_at(u64::from(number) * 1024, &[number + 1; 1024]).await.unwrap();
        }
        let after = power_cycle(&net, Keep::Some);
        send.send(after.read("log").await.unwrap()).unwrap();
    });
    left.recv().unwrap()
}

#[test]
fn a_partial_loss_leaves_whole_sectors_and_depends_on_the_seed() {
    let mut outcomes = BTreeSet::new();
    let (mut torn, mut gaps) = (0, 0);
    for seed in 0..40 {
        let left = leftovers(seed);
        for (place, byte) in left.iter().enumerate() {
            let written = (place / 1024 + 1) as u8;
            assert!(*byte == written || *byte == 0);
        }
        assert_eq!(left.len() % 512, 0);
        torn += usize::from(left.len() % 1024 == 512);
        gaps += usize::from(left.contains(&0));
        outcomes.insert(left.clone());
        assert_eq!(left, leftovers(seed), "one seed, one outcome");
    }
    assert!(outcomes.len() > 5 && torn > 0 && gaps > 0);
}

#[test]
fn the_testbed_reads_and_changes_files_durably() {
    run(|net| async move {
        create(&disk(&net.on_b), "log", b"live").await;
        assert_eq!(net.fabric.read_file(net.b, "/data/log").unwrap(), b"live");
        net.fabric.write_file(net.b, "/data/raft/peers.json", b"[]").unwrap();
        assert_eq!(
            net.fabric.list_files(net.b),
            [("/data/log".to_owned(), 4), ("/data/raft/peers.json".to_owned(), 2)]
        );
        let after = power_cycle(&net, Keep::Synced);
        assert_eq!(after.read("raft/peers.json").await.unwrap(), b"[]");
        assert_eq!(net.fabric.read_file(net.b, "/data/log"), None);
        net.fabric.remove_file(net.b, "/data/raft/peers.json").unwrap();
        assert!(after.read_dir("raft").await.unwrap().is_empty());
        assert!(net.on_b.now() == Instant::ZERO || !net.on_b.is_alive());
    });
}
