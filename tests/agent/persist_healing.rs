//! Damage: what is repaired, what is healed, what is refused, and what is said.

use std::collections::BTreeMap;
use std::path::Path;

use proconsul::base::{LogIndex, ServerAddress, Term};
use proconsul::driver::persist::{Store, inspect};
use proconsul::raft::{Persist, Restored, SnapshotMeta};

use crate::persist_disk::{MemoryDisk, run};
use crate::persist_script::{Author, FOLDER, Model, Step, judge, options, perform};

type Files = BTreeMap<String, Vec<u8>>;

/// Performs steps on a disk; what is there then.
fn performed(start: &Files, steps: &[Step]) -> Files {
    let disk = MemoryDisk::holding(start);
    let (mut store, _) = run(Store::open(disk.clone(), FOLDER, options())).expect("undamaged");
    for step in steps {
        run(perform(&mut store, step)).expect("the disk works");
    }
    disk.files()
}

/// Opens what is in these files: the answer, and the files then.
fn opened(files: &Files) -> (Result<Restored, String>, Files) {
    let disk = MemoryDisk::holding(files);
    let opened = run(Store::open(disk.clone(), FOLDER, options()));
    (opened.map(|(_, restored)| restored).map_err(|error| error.to_string()), disk.files())
}

/// All of it, to be compared.
fn text(found: &Restored) -> String {
    format!("{found:?}")
}

fn flipped(files: &Files, name: &str, at: usize) -> Files {
    let mut files = files.clone();
    files.get_mut(name).expect("it is there")[at] ^= 0x10;
    files
}

/// What has been damaged, as it is said.
fn report(files: &Files) -> Vec<String> {
    let found = run(inspect(MemoryDisk::holding(files), FOLDER, options()));
    found.expect("no refusal").damage().iter().map(ToString::to_string).collect()
}

/// Appends and hard states, a snapshot in the middle of the log, appends; the log is not compacted.
fn with_snapshot() -> (Files, Model) {
    let mut author = Author::new(3, Model::default());
    let mut steps = Vec::new();
    for round in 0..35 {
        let batch = author.batch(if round % 7 == 0 { 5 } else { 0 });
        let snapshots = [20, 40].map(|at| author.model.last().0.0 < at);
        let step = Step::Write(vec![batch]);
        author.model = author.model.after(&step);
        steps.push(step);
        if snapshots != [20, 40].map(|at| author.model.last().0.0 < at) {
            let (index, term) = author.model.last();
            let step = Step::Save(author.meta(index, term));
            author.model = author.model.after(&step);
            steps.push(step);
        }
    }
    (performed(&Files::new(), &steps), author.model)
}

fn names(files: &Files, end: &str) -> Vec<String> {
    files.keys().filter(|name| name.ends_with(end)).cloned().collect()
}

#[test]
fn damage_that_a_snapshot_covers_is_repaired_and_damage_after_it_is_healed() {
    let (files, model) = with_snapshot();
    let covered = model.snapshot.as_ref().expect("two").index;
    let whole = undamaged(&files);
    let (mut repaired, mut healed) = (0, 0);
    for name in names(&files, ".wal") {
        for at in (0..files[&name].len()).step_by(3) {
            let damaged = flipped(&files, &name, at);
            let (found, after) = opened(&damaged);
            let Ok(found) = found else { continue };
            assert_eq!(found.hard_state, model.hard_state, "{name} at {at}");
            let (first, last) = match &found.entries[..] {
                [] => (covered.next(), covered),
                [first, .., last] => (first.index, last.index),
                [only] => (only.index, only.index),
            };
            assert!(first <= covered.next() && last >= covered, "{name} at {at}");
            assert!(found.entries.iter().all(|entry| model.entries.contains(entry)));
            let is_whole = text(&found) == text(&whole);
            assert!(is_whole || !report(&damaged).is_empty(), "{name} at {at}");
            if !found.abstains {
                assert_eq!(last, model.last().0, "{name} at {at}");
                repaired += 1;
                continue;
            }
            healed += 1;
            assert!(last < model.last().0, "nothing is lost, {name} at {at}");
            // Once damaged, it abstains at every start, until it is told that it has caught up.
            let (again, _) = opened(&after);
            assert_eq!(text(&again.expect("as before")), text(&found));
            let caught_up = Persist { healed: true, ..Persist::default() };
            let (at_last, _) = opened(&performed(&after, &[Step::Write(vec![caught_up])]));
            let cured = Restored { abstains: false, ..found };
            assert_eq!(text(&at_last.expect("as before")), text(&cured));
        }
    }
    assert!(repaired > 200 && healed > 100, "{repaired} repaired, {healed} healed");
}

fn undamaged(files: &Files) -> Restored {
    opened(files).0.expect("undamaged")
}

/// For each changed byte of everything there is: a refusal, or a server that knows what it lacks, or
/// one that lacks nothing.
#[test]
fn no_changed_byte_is_taken_for_what_was_written() {
    for seed in 0..3 {
        let mut author = Author::new(seed, Model::default());
        let script = author.script(40);
        let model = author.model;
        let batches = script.iter().flat_map(|step| match step {
            Step::Write(batches) => batches.as_slice(),
            Step::Save(_) => &[],
        });
        let ever: Vec<_> = batches.flat_map(|batch| &batch.append).collect();
        let files = performed(&Files::new(), &script);
        let stored = files.keys().filter(|name| !name.ends_with(".json"));
        for (name, at) in stored.flat_map(|name| (0..files[name].len()).map(move |at| (name, at))) {
            if at % 5 != seed as usize {
                continue;
            }
            let (found, _) = opened(&flipped(&files, name, at));
            let Ok(found) = found else { continue };
            if !found.abstains {
                // What a damaged snapshot or a damaged log had beside the other may be gone.
                let snapshot = found.snapshot.clone().map(|meta| SnapshotMeta { size: 0, ..meta });
                let compacted = snapshot.as_ref().map(|it| it.index).unwrap_or_default();
                let compacted = compacted.max(model.compacted);
                let now = Model { snapshot, compacted, ..model.clone() };
                assert_eq!(now.differs(&found), None, "seed {seed}: {name} at {at}: {found:?}");
            }
            assert_eq!(found.hard_state, model.hard_state, "seed {seed}: {name} at {at}");
            // A log that was cut may hold what was truncated later: it is as it was at that time.
            let written =
                |entry| ever.contains(&entry) && (found.abstains || model.entries.contains(entry));
            assert!(found.entries.iter().all(written), "seed {seed}: {name} at {at}");
        }
    }
}

#[test]
fn whoever_refuses_leaves_everything_as_it_was() {
    let (files, _) = with_snapshot();
    let name = names(&files, ".wal").pop().expect("a segment");
    let damaged = flipped(&files, &name, 70);
    let disk = MemoryDisk::holding(&damaged);
    let found = run(inspect(disk.clone(), FOLDER, options())).expect("to be healed");
    let loss = found.loss().expect("a loss");
    assert_eq!((loss.file.as_str(), loss.offset), (name.as_str(), 48));
    assert_eq!(found.configuration().expect("in the snapshot").servers.len(), 3);
    drop(found);
    assert!(disk.files() == damaged && disk.operations() == 0);
    let last = files[&name].iter().rposition(|byte| *byte != 0).expect("a mark");
    let damaged = flipped(&files, &name, last - 20);
    let (refused, after) = opened(&damaged);
    assert!(refused.expect_err("the last group").contains(&name));
    assert!(after == damaged);
}

#[test]
fn a_damaged_snapshot_is_replaced_by_the_older_one_and_the_log() {
    let (files, model) = with_snapshot();
    let snapshots = names(&files, ".snap");
    assert_eq!(snapshots.len(), 2);
    for (name, index) in snapshots.iter().zip([1, 0]) {
        for at in 0..files[name].len() {
            let damaged = flipped(&files, name, at);
            let (found, after) = opened(&damaged);
            let found = found.expect("another one is there");
            let kept = found.snapshot.as_ref().expect("the other one");
            assert!(!found.abstains && snapshots[index].contains(&format!("{:020}", kept.index.0)));
            assert_eq!(found.entries, model.entries);
            assert!(report(&damaged)[0].contains("Nothing is lost"));
            assert!(!after.contains_key(name) && report(&after).is_empty());
        }
    }
    // Without either the log is enough, as it begins at 1.
    let both = flipped(&flipped(&files, &snapshots[0], 0), &snapshots[1], 0);
    let (found, _) = opened(&both);
    let found = found.expect("a log from entry 1");
    assert!(found.snapshot.is_none() && !found.abstains && found.entries == model.entries);
    // The log needs the snapshot that it was compacted to: what is left is the older one.
    let compact =
        Persist { compact_to: model.snapshot.as_ref().map(|it| it.index), ..Persist::default() };
    let compacted = performed(&files, &[Step::Write(vec![compact])]);
    assert!(names(&compacted, ".wal").len() < names(&files, ".wal").len());
    let (found, after) = opened(&flipped(&compacted, &snapshots[1], 0));
    let found = found.expect("the hard state is known");
    assert!(found.abstains && found.entries.is_empty() && after.contains_key("raft/healing"));
    assert!(found.snapshot.is_some_and(|meta| snapshots[0].contains(&format!("{}", meta.index.0))));
}

#[test]
fn a_snapshot_of_an_earlier_entry_can_be_installed() {
    // A leader that restored an operator's snapshot and was deposed before it was committed.
    let mut author = Author::new(5, Model::default());
    let mut steps = author.script(1);
    for _ in 0..4 {
        let batch = author.batch(0);
        steps.push(Step::Write(vec![batch]));
        author.model = author.model.after(&steps[steps.len() - 1]);
    }
    for index in [100, 50] {
        let batch = Persist {
            install: Some(Box::new(author.install(LogIndex(index), Term(1), false))),
            ..Persist::default()
        };
        steps.push(Step::Write(vec![batch]));
        author.model = author.model.after(&steps[steps.len() - 1]);
    }
    let files = performed(&Files::new(), &steps);
    assert_eq!(names(&files, ".snap").len(), 1);
    run(judge(MemoryDisk::holding(&files), &[author.model])).expect("the last one counts");
}

#[test]
fn an_own_snapshot_that_came_too_late_is_discarded() {
    let (files, model) = with_snapshot();
    let mut author = Author::new(1, model.clone());
    let stale = author.meta(LogIndex(55), model.term_at(LogIndex(55)).expect("an entry"));
    let install = author.install(LogIndex(90), model.hard_state.term, false);
    let batch = Persist { install: Some(Box::new(install)), ..Persist::default() };
    let steps = [Step::Write(vec![batch]), Step::Save(stale)];
    let after = performed(&files, &steps);
    let found = undamaged(&after);
    assert_eq!(found.snapshot.map(|meta| meta.index), Some(LogIndex(90)));
    assert_eq!(names(&after, ".snap").len(), 2);
    assert!(names(&after, ".tmp").is_empty());
}

#[test]
fn unfinished_files_are_removed_at_start() {
    let (mut files, _) = with_snapshot();
    let before = undamaged(&files);
    files.insert("raft/snapshots/17.tmp".to_owned(), vec![1; 100]);
    files.insert("raft/peers.json.tmp".to_owned(), b"[".to_vec());
    let (found, after) = opened(&files);
    assert_eq!(text(&found.expect("undamaged")), text(&before));
    assert!(names(&after, "17.tmp").is_empty());
}

fn with_peers(content: &[u8]) -> Result<Vec<ServerAddress>, String> {
    let files = Files::from([("raft/peers.json".to_owned(), content.to_vec())]);
    opened(&files).0.map(|restored| restored.peers.expect("the legacy discipline"))
}

#[test]
fn the_peer_set_is_kept_as_people_know_it() {
    for none in ["", "null", "null\n", " \n", "[]"] {
        assert_eq!(with_peers(none.as_bytes()), Ok(Vec::new()), "{none:?}");
    }
    let two = ["10.10.126.101:8300", "n2:8300"].map(ServerAddress::from);
    assert_eq!(with_peers(b"[\"10.10.126.101:8300\",\n \"n2:8300\"]"), Ok(two.to_vec()));
    let set = |peers: &[ServerAddress]| {
        let batch = Persist { peers: Some(peers.to_vec()), ..Persist::default() };
        performed(&Files::new(), &[Step::Write(vec![batch])])["raft/peers.json"].clone()
    };
    assert_eq!(set(&two), b"[\"10.10.126.101:8300\",\"n2:8300\"]\n");
    assert_eq!(set(&[]), b"null\n");
}

/// What an operator reads. `UPDATE_GOLDENFILES=1` writes it anew; read the difference.
#[test]
fn the_texts_say_what_where_and_what_to_do() {
    let (files, _) = with_snapshot();
    let (segments, snapshots) = (names(&files, ".wal"), names(&files, ".snap"));
    let mut texts = Vec::new();
    texts.extend(report(&flipped(&files, &segments[0], 60)));
    texts.extend(report(&flipped(&files, &segments[segments.len() - 1], 60)));
    texts.extend(report(&flipped(&files, &snapshots[1], 3)));
    let mut without = files.clone();
    without.remove(&segments[0]);
    snapshots.iter().for_each(|name| drop(without.remove(name)));
    texts.extend(report(&without));
    let end = files[&segments[segments.len() - 1]].iter().rposition(|byte| *byte != 0);
    let last = flipped(&files, &segments[segments.len() - 1], end.expect("a mark") - 20);
    texts.extend(opened(&last).0.err());
    for content in ["[\"10.0.0.1:8300\",\n \"n2\"]", "[\"a:1\"", "{\"a\": 1}", "\u{1}"] {
        texts.extend(with_peers(content.as_bytes()).err());
    }
    let found = texts.join("\n") + "\n";
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/agent/golden/persist/messages.txt");
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        std::fs::write(&path, &found).expect("the golden file");
    }
    let golden = std::fs::read_to_string(&path).expect("the golden file");
    assert!(found == golden, "expected\n{golden}\nfound\n{found}");
}
