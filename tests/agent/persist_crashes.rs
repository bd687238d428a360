//! Every crash point: a script of everything storage is asked to do is stopped before each operation
//! on the disk, with all that a power cut can leave; what is recovered is compared with the model.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use proconsul::base::runtime::{Disk, Level, Runtime};
use proconsul::driver::persist::Store;
use proconsul::runtime::TokioRuntime;
use proptest::prelude::*;

use crate::persist_disk::{MemoryDisk, run};
use crate::persist_script::{Author, FOLDER, Model, Step, judge, options, perform};
use crate::persist_watched::Watched;

/// How many operations there had been when each step was acknowledged, with the model after it; first
/// when storage was open.
type Acknowledged = Vec<(usize, Model)>;

/// Performs a script on a watched disk from this model on.
async fn perform_all<D: Disk>(
    disk: &Watched<D>,
    script: &[Step],
    mut model: Model,
) -> Acknowledged {
    let opened = Store::open(disk.clone(), FOLDER, options()).await;
    let (mut store, restored) = opened.expect("it can be opened");
    assert_eq!(model.differs(&restored), None, "{restored:?}");
    let mut acknowledged = vec![(disk.operations(), model.clone())];
    for step in script {
        perform(&mut store, step).await.expect("the disk works");
        model = model.after(step);
        acknowledged.push((disk.operations(), model.clone()));
    }
    acknowledged
}

/// What may be found when the power went before this operation.
fn possible(acknowledged: &Acknowledged, script: &[Step], operation: usize) -> Vec<Model> {
    let done = acknowledged.iter().filter(|(operations, _)| *operations <= operation).count();
    let known = &acknowledged[done.saturating_sub(1)].1;
    match script.get(done.wrapping_sub(1)) {
        Some(step) => known.stages(step),
        None => vec![known.clone()],
    }
}

/// Tries every crash point of a script on a disk in memory; how many there were.
fn every_crash_point(start: &MemoryDisk, script: &[Step], model: Model) -> Result<usize, String> {
    let disk = start.copy();
    let moments = Arc::new(Mutex::new(Vec::new()));
    let watcher = {
        let (disk, moments) = (disk.clone(), moments.clone());
        move |_| {
            moments.lock().expect("whole").push(disk.copy());
            true
        }
    };
    let watched = Watched::new(disk.clone(), Arc::new(watcher));
    let acknowledged = run(perform_all(&watched, script, model));
    let mut moments = std::mem::take(&mut *moments.lock().expect("whole"));
    moments.push(disk.copy());
    let mut points = 0;
    for (operation, moment) in moments.iter().enumerate() {
        let possible = possible(&acknowledged, script, operation);
        for (content, names) in moment.cuts() {
            points += 1;
            run(judge(moment.after_cut(content, names), &possible)).map_err(|why| {
                format!("before operation {operation}, kept {content:?} and {names} names: {why}")
            })?;
        }
    }
    Ok(points)
}

#[test]
fn every_crash_point_keeps_what_was_acknowledged() {
    let mut points = 0;
    for seed in 0..4 {
        let script = Author::new(seed, Model::default()).script(40);
        let tried = every_crash_point(&MemoryDisk::default(), &script, Model::default());
        points += tried.unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
    println!("recovery points tried in memory: {points}");
    assert!(points > 5_000, "{points}");
}

/// A log that was damaged in its first group, so that it is healed; and what is left then.
pub fn damaged(seed: u64) -> Option<(MemoryDisk, Model)> {
    let script = Author::new(seed, Model::default()).script(30);
    let disk = MemoryDisk::default();
    run(perform_all(&Watched::new(disk.clone(), Arc::new(|_| true)), &script, Model::default()));
    let mut files = disk.files();
    let (_, newest) = files.iter_mut().rfind(|(name, _)| name.ends_with(".snap"))?;
    newest[0] ^= 1;
    let disk = MemoryDisk::holding(&files);
    let found = run(proconsul::driver::persist::inspect(disk.clone(), FOLDER, options())).ok()?;
    found.loss()?;
    let (_, restored) = run(Store::open(disk.copy(), FOLDER, options())).ok()?;
    let base = restored.snapshot.as_ref().map(|meta| (meta.index, meta.term)).unwrap_or_default();
    assert!(restored.abstains && restored.entries.is_empty());
    let model = Model {
        hard_state: restored.hard_state,
        snapshot: restored.snapshot.map(|meta| proconsul::raft::SnapshotMeta { size: 0, ..meta }),
        base,
        peers: restored.peers.unwrap_or_default(),
        abstains: true,
        ..Model::default()
    };
    Some((disk, model))
}

#[test]
fn every_crash_point_of_healing_leads_to_the_same_end() {
    let (mut points, mut healed) = (0, 0);
    for (seed, (disk, model)) in (0..16).filter_map(|seed| Some((seed, damaged(seed)?))) {
        let script = Author::new(seed + 1000, model.clone()).script(8);
        let tried = every_crash_point(&disk, &script, model);
        points += tried.unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        healed += 1;
    }
    println!("recovery points tried while healing: {points} on {healed} damaged disks");
    assert!(healed >= 2 && points > 1_000, "{points} on {healed} disks");
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a type").is_dir() {
            copy_folder(&entry.path(), &to.join(entry.file_name()));
        } else {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
}

/// The process dies, the system does not: what is there is what was written.
#[test]
fn every_death_of_the_process_on_a_real_disk_keeps_what_was_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let live = folder.path().join("live");
    std::fs::create_dir_all(&live).expect("a folder");
    let script = Author::new(7, Model::default()).script(13);
    let ran = TokioRuntime::run(Level::Error, |runtime| async move {
        let watcher = {
            let (live, folder) = (live.clone(), folder.path().to_owned());
            move |operation| {
                copy_folder(&live, &folder.join(format!("{operation}")));
                true
            }
        };
        let watched = Watched::new(runtime.disk(&live), Arc::new(watcher));
        let acknowledged = perform_all(&watched, &script, Model::default()).await;
        let points = watched.operations();
        let mut wrong = String::new();
        for operation in 0..points {
            let moment = folder.path().join(format!("{operation}"));
            let possible = possible(&acknowledged, &script, operation);
            if let Err(why) = judge(runtime.disk(&moment), &possible).await {
                let _ = writeln!(wrong, "before operation {operation}: {why}");
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
        points
    });
    let points = ran.expect("a runtime");
    println!("recovery points tried on a real disk: {points}");
    assert!(points > 50, "{points}");
}

/// `PROPTEST_CASES` tries more scripts.
fn cases() -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(12),
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_crash_at_every_operation_of_any_script_keeps_what_was_acknowledged(
        seed: u64,
        steps in 1..14_usize,
    ) {
        let script = Author::new(seed, Model::default()).script(steps);
        let tried = every_crash_point(&MemoryDisk::default(), &script, Model::default());
        prop_assert!(tried.is_ok(), "{}", tried.unwrap_err());
    }
}
