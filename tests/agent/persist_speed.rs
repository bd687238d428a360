//! What one commit costs on this machine's disk. It tests that commits work; for figures:
//! `GROUPS=1000 cargo test --release -p proconsul --test agent persist_speed -- --nocapture`

use proconsul::base::LogIndex;
use proconsul::base::Term;
use proconsul::base::runtime::{Disk, File, Level, Runtime};
use proconsul::driver::persist::{Options, Store};
use proconsul::raft::{Entry, EntryKind, Persist};
use proconsul::runtime::TokioRuntime;

use crate::persist_script::FOLDER;
use crate::real_process::now;

/// So few that it costs next to nothing, unless somebody wants to know.
fn groups() -> u64 {
    std::env::var("GROUPS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

/// Groups per second, one after the other, of one entry of 100 bytes for each of `writers`.
async fn groups_per_second(disk: impl Disk, ahead_bytes: u64, writers: u64) -> f64 {
    let options = Options { ahead_bytes, ..Options::default() };
    let (mut store, _) = Store::open(disk, FOLDER, options).await.expect("a fresh folder");
    let (start, groups) = (now(), groups());
    for group in 0..groups {
        let batch = |writer| {
            let index = LogIndex(group * writers + writer + 1);
            let data = vec![7; 100].into();
            let entry = Entry { index, term: Term(1), kind: EntryKind::Command, data };
            Persist { append: vec![entry], ..Persist::default() }
        };
        let batches: Vec<Persist> = (0..writers).map(batch).collect();
        store.write(&batches).await.expect("the disk works");
    }
    groups as f64 / start.elapsed().as_secs_f64()
}

/// The same bytes with nothing around them.
async fn bare_writes_per_second(disk: impl Disk) -> f64 {
    let file = disk.open("bare", true).await.expect("a file");
    let (start, groups) = (now(), groups());
    for group in 0..groups {
        file.write_at(group * 240, &[7; 240]).await.expect("the disk works");
        file.sync().await.expect("the disk works");
    }
    groups as f64 / start.elapsed().as_secs_f64()
}

#[test]
fn commits_per_second() {
    let ran = TokioRuntime::run(Level::Error, |runtime| async move {
        for round in 0..3 {
            for (writers, ahead) in [(1, 0), (1, 64 << 10), (64, 0), (64, 64 << 10)] {
                let folder = tempfile::tempdir().expect("a folder");
                let speed = groups_per_second(runtime.disk(folder.path()), ahead, writers).await;
                println!(
                    "round {round}: {writers} writers, {ahead} bytes ahead: {speed:.0} groups/s, \
                     {:.0} entries/s",
                    speed * writers as f64
                );
            }
            let folder = tempfile::tempdir().expect("a folder");
            let speed = bare_writes_per_second(runtime.disk(folder.path())).await;
            println!("round {round}: bare append and sync: {speed:.0}/s");
        }
    });
    ran.expect("a runtime");
}
