//! Manual recovery with `peers.json` (spec cluster 4.14), stopped before each operation on the disk, with all that
//! a power cut can leave: started again, it ends the same.

use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use proconsul::base::runtime::{Disk, Level};
use proconsul::base::{Faults, LogIndex, Term};
use proconsul::driver::persist::{Options, Store};
use proconsul::driver::recovery;
use proconsul::raft::{
    Configuration, Entry, EntryKind, HardState, Persist, Restored, Server, SnapshotMeta, Suffrage,
    Vote,
};
use proconsul::state::{Command, KvCommand, StateStore};
use proconsul::wire;

use crate::persist_disk::{MemoryDisk, run};
use crate::persist_watched::Watched;

const FOLDER: &str = "raft";
const JSON: &str = r#"[{"id":"id1","address":"10.0.0.1:8300"}]"#;

fn set(names: &[u8]) -> Configuration {
    let server = |name: &u8| Server {
        suffrage: Suffrage::Voter,
        id: format!("id{name}").into(),
        address: format!("10.0.0.{name}:8300").into(),
    };
    Configuration { servers: names.iter().map(server).collect() }
}

fn command(index: u64) -> Command {
    let (key, value) = (format!("k{index}"), Bytes::from(format!("value {index}")));
    Command::Kv(KvCommand::Set { key, value, flags: 0 })
}

fn entry(index: u64) -> Entry {
    let (term, kind, data) = match index {
        1 => (1, EntryKind::Configuration, wire::raft::encode_configuration(&set(&[1, 2, 3]))),
        2 => (2, EntryKind::Noop, Bytes::new()),
        _ => (2, EntryKind::Command, wire::command::encode(&command(index), "dc1")),
    };
    Entry { index: LogIndex(index), term: Term(term), kind, data }
}

fn state(last: u64) -> StateStore {
    let mut state = StateStore::new();
    for index in 3..=last {
        let _ = state.apply(LogIndex(index), &command(index), &Faults::none());
    }
    state
}

fn hard_state() -> HardState {
    let vote = Vote { term: Term(3), candidate: "10.0.0.2:8300".into() };
    HardState { term: Term(3), vote: Some(vote) }
}

fn silent(_: Level, _: &str, _: fmt::Arguments<'_>) {}

/// What a server does at start.
async fn start<D: Disk>(disk: D) -> Result<(Store<D>, Restored), String> {
    let asked = recovery::asked_for(&disk, FOLDER, &silent).await?;
    let opened = Store::open(disk.clone(), FOLDER, Options::default()).await;
    let (mut store, mut restored) = opened.map_err(|error| error.to_string())?;
    if let Some(set) = asked {
        let faults = Faults::none();
        restored = recovery::run(&disk, &mut store, restored, set, &faults, &silent).await?;
    }
    Ok((store, restored))
}

/// A server's disk with a log up to 8, a snapshot of 5 if asked for, and an operator's file.
fn before(snapshot: bool) -> MemoryDisk {
    let disk = MemoryDisk::default();
    run(async {
        let (mut store, _) = start(disk.clone()).await.expect("a first start");
        let append = (1..=8).map(entry).collect();
        let batch = Persist { hard_state: Some(hard_state()), append, ..Persist::default() };
        store.write(&[batch]).await.expect("the disk works");
        if snapshot {
            let mut staging = store.snapshots().stage().await.expect("the disk works");
            for piece in wire::snapshot::encode(state(5)) {
                staging.write(&piece).await.expect("the disk works");
            }
            let meta = SnapshotMeta {
                index: LogIndex(5),
                term: Term(2),
                configuration: set(&[1, 2, 3]),
                configuration_index: LogIndex(1),
                size: 0,
            };
            let staged = staging.finish().await.expect("the disk works");
            store.save(staged, &meta).await.expect("the disk works").expect("it is the newest");
        }
    });
    let mut files = disk.files();
    files.insert("raft/peers.json".to_owned(), JSON.as_bytes().to_vec());
    MemoryDisk::holding(&files)
}

/// What must be found once a recovery has succeeded.
async fn judge<D: Disk>(disk: D) -> Result<(), String> {
    let (store, restored) = start(disk.clone()).await?;
    let meta = restored.snapshot.as_ref().ok_or("there is no snapshot")?;
    let mut bytes = store.snapshots().read(meta).await.map_err(|error| error.to_string())?;
    let mut reader = wire::snapshot::Reader::new();
    while let Some(chunk) = bytes.next_chunk().await.map_err(|error| error.to_string())? {
        reader.push(&chunk).map_err(|error| error.to_string())?;
    }
    let found = reader.finish().map_err(|error| error.to_string())?;
    let wrong = [
        ("place", (meta.index, meta.term) != (LogIndex(8), Term(2))),
        ("set", (&meta.configuration, meta.configuration_index) != (&set(&[1]), LogIndex(1))),
        ("log", !restored.entries.is_empty()),
        ("term and vote", restored.hard_state != hard_state()),
        ("abstains", restored.abstains),
        ("state", found != state(8)),
        ("peers.json", disk.read("raft/peers.json").await.is_ok()),
        ("peers.info", disk.read("raft/peers.info").await.is_err()),
    ];
    let names: Vec<&str> = wrong.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
    if names.is_empty() { Ok(()) } else { Err(format!("{names:?}: {restored:?}")) }
}

#[test]
fn a_recovery_that_is_cut_short_anywhere_ends_the_same() {
    let mut points = 0;
    for snapshot in [false, true] {
        let disk = before(snapshot);
        let moments = Arc::new(Mutex::new(Vec::new()));
        let watcher = {
            let (disk, moments) = (disk.clone(), moments.clone());
            move |_| {
                moments.lock().expect("whole").push(disk.copy());
                true
            }
        };
        run(judge(Watched::new(disk.clone(), Arc::new(watcher)))).expect("undisturbed");
        let mut moments = std::mem::take(&mut *moments.lock().expect("whole"));
        moments.push(disk.copy());
        for (operation, moment) in moments.iter().enumerate() {
            for (content, names) in moment.cuts() {
                points += 1;
                run(judge(moment.after_cut(content, names))).unwrap_or_else(|why| {
                    panic!("before operation {operation}, kept {content:?}, {names} names: {why}")
                });
            }
        }
    }
    println!("recovery points tried: {points}");
    assert!(points > 50, "{points}");
}

/// A file that was there before this version ever ran is not a request.
#[test]
fn a_stray_file_is_deleted_unread_wherever_the_first_start_is_cut_short() {
    let files = [("raft/peers.json".to_owned(), b"nonsense".to_vec())].into();
    let disk = MemoryDisk::holding(&files);
    let moments = Arc::new(Mutex::new(Vec::new()));
    let watcher = {
        let (disk, moments) = (disk.clone(), moments.clone());
        move |_| {
            moments.lock().expect("whole").push(disk.copy());
            true
        }
    };
    run(start(Watched::new(disk.clone(), Arc::new(watcher)))).map(drop).expect("undisturbed");
    for moment in moments.lock().expect("whole").iter() {
        for (content, names) in moment.cuts() {
            let disk = moment.after_cut(content, names);
            run(start(disk.clone())).map(drop).expect("it is deleted, not read");
            let files = disk.files();
            assert!(
                !files.contains_key("raft/peers.json") && files.contains_key("raft/peers.info")
            );
        }
    }
}

#[test]
fn there_must_be_something_to_recover() {
    let disk = MemoryDisk::default();
    run(start(disk.clone())).map(drop).expect("a first start");
    let mut files = disk.files();
    files.insert("raft/peers.json".to_owned(), JSON.as_bytes().to_vec());
    let disk = MemoryDisk::holding(&files);
    let why = run(start(disk.clone())).map(drop).expect_err("refused");
    assert_eq!(
        why,
        "Failed to start Consul server: Failed to start Raft: recovery failed: refused to recover \
         cluster with no initial state, this is probably an operator error"
    );
    assert!(disk.files().contains_key("raft/peers.json"));
}
